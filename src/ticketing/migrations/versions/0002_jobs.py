"""The queue of jobs, and when recurring tasks last ran."""

from ticketing.migrations.runner import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    run_script("0002_jobs.sql")
