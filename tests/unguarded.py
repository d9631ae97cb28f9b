"""The application with its guard taken away: what the scarcity test must be able to catch."""

from ticketing.app import app
from ticketing.orders import placing

# Where sections would be locked, time passes instead: everybody decides on what they read before the others wrote.
placing.LOCK_SECTIONS = "SELECT pg_sleep(0.02), $1::bigint[]"

__all__ = ["app"]
