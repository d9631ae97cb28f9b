"""When sessions end by themselves."""

from ticketing.migrations.runner import run_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    run_script("0012_session_expiry.sql")
