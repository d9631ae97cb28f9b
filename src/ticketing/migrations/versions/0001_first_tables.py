"""The first tables: people, places, events, orders, tickets, gates."""

from ticketing.migrations.runner import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    run_script("0001_first_tables.sql")
