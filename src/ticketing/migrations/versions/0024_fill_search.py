"""Fold the names that are there already."""

from typing import Any

from ticketing.kit.searching import fold, pieces


async def run(db: Any) -> None:
    """Fill the columns, and index those of events."""
    for table, column in (("hosts", "name"), ("venues", "name"), ("categories", "name"), ("events", "title")):
        rows = await db.fetch(f"SELECT id, {column} AS text FROM {table}")
        await db.executemany(
            f"UPDATE {table} SET search_text = $2 WHERE id = $1", [(row["id"], fold(row["text"])) for row in rows]
        )
    rows = await db.fetch("SELECT id, search_text FROM events")
    await db.executemany(
        "UPDATE events SET search_pieces = $2 WHERE id = $1", [(row["id"], pieces(row["search_text"])) for row in rows]
    )
    await db.execute("CREATE INDEX events_search ON events USING gin (search_pieces)")
