"""TickeTing: an API-first ticketing platform."""
