"""Make the keys of the names that are there already, in Python, since the database knows other rules.

Two that are one name by the better rule cannot both keep it: the later one's key gets its id. It is still found by that
id, and shown as ever; whoever renames it gives it a key of its own.
"""

from typing import Any

from ticketing.kit.collation import VERSION, sort_key
from ticketing.kit.identity import address_identity, identity, person_identity

# Table, column, its key, how that is made, and within what it is unique ("": not at all).
NAMES = [
    ("accounts", "username", "username_key", person_identity, "removed_at IS NULL AND NOT integration", ""),
    ("accounts", "email", "email_key", address_identity, "removed_at IS NULL AND NOT integration", ""),
    ("hosts", "name", "name_key", identity, "removed_at IS NULL", ""),
    ("venues", "name", "name_key", identity, "removed_at IS NULL", ""),
    ("regions", "name", "name_key", identity, "removed_at IS NULL", ""),
    ("categories", "name", "name_key", identity, "removed_at IS NULL", ""),
    ("integrations", "name", "name_key", identity, "revoked_at IS NULL", ""),
    ("sections", "name", "name_key", identity, "removed_at IS NULL", "event_id"),
    ("events", "title", "title_key", identity, "false", ""),
]
SORTED = [("hosts", "name", "name_sort"), ("events", "title", "title_sort")]


async def run(db: Any) -> None:
    """Fill the columns."""
    for table, column, key, make, live, within in NAMES:
        taken: set[tuple[Any, str]] = set()
        rows = await db.fetch(
            f"SELECT id, {column} AS text, {within or 'NULL'} AS scope, ({live}) AS live FROM {table} ORDER BY id"
        )
        keys = []
        for row in rows:
            made = make(row["text"])
            if row["live"] and (row["scope"], made) in taken:
                made = f"{made} {row['id']}"
            if row["live"]:
                taken.add((row["scope"], made))
            keys.append(made)
        await _write(db, table, key, "text", [row["id"] for row in rows], keys)
    for table, column, key in SORTED:
        rows = await db.fetch(f"SELECT id, {column} AS text FROM {table}")
        await _write(db, table, key, "bytea", [row["id"] for row in rows], [sort_key(row["text"]) for row in rows])
    await db.execute("INSERT INTO sort_keys VALUES ($1)", VERSION)


async def _write(db: Any, table: str, column: str, kind: str, ids: list[int], keys: list[Any]) -> None:
    await db.execute(
        f"UPDATE {table} SET {column} = made.key FROM unnest($1::bigint[], $2::{kind}[]) AS made (id, key)"
        f" WHERE {table}.id = made.id",
        ids,
        keys,
    )
