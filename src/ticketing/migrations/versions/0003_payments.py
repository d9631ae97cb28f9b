"""Payments and refunds, and the sandbox provider's own ledger."""

from ticketing.migrations.runner import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create them."""
    run_script("0003_payments.sql")
