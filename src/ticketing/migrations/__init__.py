"""Steps from one shape of the tables to the next; plain SQL, run by Alembic (`runner`) under an advisory lock."""

from pathlib import Path


def newest() -> str:
    """The revision this version needs, without importing Alembic: workers ask too."""
    return max(revisions())


def revisions() -> list[str]:
    """The revisions this version knows, oldest first."""
    return sorted(path.name[:4] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py"))
