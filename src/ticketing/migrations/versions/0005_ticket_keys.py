"""The keys that tickets are signed with."""

from ticketing.migrations.runner import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create them."""
    run_script("0005_ticket_keys.sql")
