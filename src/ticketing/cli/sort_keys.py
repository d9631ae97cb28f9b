"""`ticketing sort-keys`: what names are sorted by."""

from pathlib import Path

from .database import desk, run
from .options import DataDir
from .terminal import say

# Every name that is sorted by, and the column of its key.
SORTED = [("hosts", "name", "name_sort"), ("events", "title", "title_sort")]
BATCH = 1000


def sort_keys(data_dir: DataDir = None) -> None:
    """Make the keys anew by which names are sorted, where a version of the software sorts by another table."""
    run(_make_anew(data_dir))


async def _make_anew(data_dir: Path | None) -> None:
    from ticketing.kit.collation import VERSION, sort_key

    count = 0
    async with desk(data_dir) as one:
        for table, column, key in SORTED:
            last = 0
            while rows := await one.db.fetch(
                f"SELECT id, {column} AS text FROM {table} WHERE id > $1 ORDER BY id LIMIT $2 FOR NO KEY UPDATE",
                last,
                BATCH,
            ):
                await one.db.execute(
                    f"UPDATE {table} SET {key} = made.key FROM unnest($1::bigint[], $2::bytea[]) AS made (id, key)"
                    f" WHERE {table}.id = made.id",
                    [row["id"] for row in rows],
                    [sort_key(row["text"]) for row in rows],
                )
                last, count = rows[-1]["id"], count + len(rows)
        await one.db.execute("UPDATE sort_keys SET version = $1", VERSION)
    say(f"{count} names are sorted by the table of this version.")
