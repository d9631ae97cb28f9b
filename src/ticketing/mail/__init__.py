"""Mail: what was posted with `kit.letters` is written, sent, and noted as sent."""
