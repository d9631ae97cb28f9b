"""The letters that are posted, and what became of each."""

from ticketing.migrations.runner import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    run_script("0004_mails.sql")
