"""Letters that carry a code go first."""

from ticketing.migrations.runner import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Put them in front in the index."""
    run_script("0009_codes_first.sql")
