"""The six-digit codes that go out by mail."""

from ticketing.migrations.runner import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    run_script("0006_codes.sql")
