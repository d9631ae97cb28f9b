"""Finding what is owed, without reading all that was ever paid."""

from ticketing.migrations.runner import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the indexes."""
    run_script("0010_owed_money.sql")
