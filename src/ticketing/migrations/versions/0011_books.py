"""What reports count by, and the indexes of long lists."""

from ticketing.migrations.runner import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create them."""
    run_script("0011_books.sql")
