"""Transfers, and the serials they retire."""

from ticketing.migrations.runner import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables."""
    run_script("0008_transfers.sql")
