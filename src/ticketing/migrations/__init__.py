"""Steps from one shape of the tables to the next, in `versions/`, applied in order by `runner`.

A step is one file, `NNNN_what.sql` or, where SQL cannot, `NNNN_what.py` with `async def run(db)`; its number is its
revision, and the newest one applied is the revision of the database.
"""

from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"

# Whether a database was ever migrated, and how far.
HAS_HISTORY = "SELECT to_regclass('schema_migrations') IS NOT NULL"
REVISION = "SELECT max(revision) FROM schema_migrations"


def steps() -> list[Path]:
    """The files of the steps this software knows, oldest first."""
    return sorted(path for path in VERSIONS.glob("[0-9]*.*") if path.suffix in (".sql", ".py"))


def revision_of(step: Path) -> str:
    """The four digits before the name."""
    return step.name[:4]


def revisions() -> list[str]:
    """The revisions this software knows, oldest first."""
    return [revision_of(step) for step in steps()]


def newest() -> str:
    """The revision this software needs."""
    return revisions()[-1]
