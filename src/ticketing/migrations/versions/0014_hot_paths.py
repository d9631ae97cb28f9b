"""Indexes that hot statements are answered from."""

from ticketing.migrations.runner import run_script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create them."""
    run_script("0014_hot_paths.sql")
