"""Going through what is sealed, a page at a time: looked at without a lock, sealed anew where it has to be.

Nobody is held up: rows that somebody has locked are left to the next turn, the others are locked for one statement.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag

from ticketing.kit.database import Connection, Database, Row
from ticketing.kit.sealed import Sealed
from ticketing.kit.vault import Vault

PAGE = 500
_BEFORE_ALL = {"bigint": 0, "text": "", "bytea": b""}


@dataclass
class Swept:
    """What a turn came to: rows sealed anew, left because somebody had them, and opened by no secret at all."""

    anew: int = 0
    left: int = 0
    lost: int = 0


def opens(vault: Vault, sealed: Sealed, row: Row) -> bool:
    """Whether the vault has the secret that the row was sealed with."""
    try:
        sealed.anew(vault, row)
    except InvalidTag:
        return False
    return True


async def pages(database: Database, sealed: Sealed) -> AsyncIterator[list[Row]]:
    """All rows of a kind, PAGE at a time."""
    last: Sequence[Any] = [_BEFORE_ALL[kind] for kind in sealed.key.values()]
    keys = ", ".join(sealed.key)
    after = ", ".join(f"${number}" for number in range(1, len(last) + 1))
    statement = f"{_select(sealed)} AND ({keys}) > ({after}) ORDER BY {keys} LIMIT {PAGE}"
    while True:
        async with database.reading() as db:
            rows = await db.fetch(statement, *last)
        if not rows:
            return
        yield rows
        last = _key(sealed, rows[-1])


async def newest(db: Connection, sealed: Sealed) -> Row | None:
    """The last row of a kind, if there is any."""
    order = ", ".join(f"{name} DESC" for name in sealed.key)
    return await db.fetchrow(f"{_select(sealed)} ORDER BY {order} LIMIT 1")


async def seal_anew(database: Database, vault: Vault, sealed: Sealed) -> Swept:
    """Seal every row of a kind with the secret that seals now; those that are already are not touched."""
    swept = Swept()
    async for rows in pages(database, sealed):
        stale = []
        for row in rows:
            try:
                if sealed.anew(vault, row) is not None:
                    stale.append(row)
            except InvalidTag:
                swept.lost += 1
        if stale:
            done = await _seal_page(database, vault, sealed, stale)
            swept.anew += done
            swept.left += len(stale) - done
    return swept


async def _seal_page(database: Database, vault: Vault, sealed: Sealed, stale: Sequence[Row]) -> int:
    """How many of these rows are sealed with the right secret now; the others were locked."""
    async with database.transaction() as db:
        locked = await lock(db, sealed, stale, skip=True)
        fresh = [(_key(sealed, row), values) for row in locked if (values := sealed.anew(vault, row)) is not None]
        changes = ", ".join(f"{name} = fresh.{name}" for name in sealed.columns)
        same = " AND ".join(f"thing.{name} = fresh.{name}" for name in sealed.key)
        await db.execute(
            f"UPDATE {sealed.table} thing SET {changes} FROM {_unnest({**sealed.key, **sealed.columns})} AS fresh"
            f" ({', '.join([*sealed.key, *sealed.columns])}) WHERE {same}",
            *_columns([[*key, *values] for key, values in fresh], len(sealed.key) + len(sealed.columns)),
        )
    return len(locked)


async def lock(db: Connection, sealed: Sealed, rows: Sequence[Row], *, skip: bool = False) -> list[Row]:
    """These rows as they are now, locked in the caller's transaction; without those that are gone.

    `skip`: without those that somebody else has locked, too.
    """
    return await db.fetch(
        f"{_select(sealed)} AND ({', '.join(sealed.key)}) IN (SELECT * FROM {_unnest(sealed.key)} AS wanted)"
        f" ORDER BY {', '.join(sealed.key)} FOR NO KEY UPDATE{' SKIP LOCKED' if skip else ''}",
        *_columns([_key(sealed, row) for row in rows], len(sealed.key)),
    )


def _select(sealed: Sealed) -> str:
    names = ", ".join([*sealed.key, *sealed.columns, *sealed.beside])
    return f"SELECT {names}, {sealed.thing} AS thing FROM {sealed.table} WHERE {sealed.live}"


def _key(sealed: Sealed, row: Row) -> list[Any]:
    return [row[name] for name in sealed.key]


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    return [[row[number] for row in rows] for number in range(count)]


def _unnest(columns: Mapping[str, str]) -> str:
    return f"unnest({', '.join(f'${number}::{kind}[]' for number, kind in enumerate(columns.values(), 1))})"
