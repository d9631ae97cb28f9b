"""Finding what staff at gates wrote of themselves."""

from ticketing.migrations.runner import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the indexes."""
    run_script("0007_gate_staff.sql")
