"""Former serials by ticket."""

from ticketing.migrations.runner import run_script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the index."""
    run_script("0013_former_serials.sql")
