"""Mail: what was posted with `letters.posting` is written, sent, and noted as sent."""
