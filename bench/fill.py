"""A full house: a million tickets in four hundred thousand orders over two hundred events, for measuring.

    DATABASE_URL=... python -m bench.fill [--orders 400000] [--events 200]

A tenth of the orders is for the first event, the rest spread over the others; 20 hosts have ten events each. Every
row that the platform itself would have written is there - payments, refunds, the sandbox's ledger, admissions - so that
whoever checks the books finds them right. Set-based, in some ten statements.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from ticketing.kit.ids import EPOCH, TICKS_PER_SECOND, Ids
from ticketing.kit.money import fee_cents, parse_bands
from ticketing.kit.vault import Vault
from ticketing.migrations.runner import migrate
from ticketing.sessions.gate_keys import issue_token
from ticketing.settings import Settings
from ticketing.tickets.rules import serial_stem

ORDERS = 400_000
EVENTS = 200
EVENTS_PER_HOST = 10
CUSTOMERS_PER_ORDER = 0.15
NODE = 253
NEW_IDS = Ids(NODE)
SECTIONS = ("Floor", "Balcony", "Box", "Gallery")
PRICES = (2500, 4999, 7500, 12000, 21000)  # cents; the gallery is free
STEPS = Path(__file__).with_name("fill.sql")


async def fill(dsn: str, *, orders: int = ORDERS, events: int = EVENTS, secret: str = "") -> None:
    """Fill a migrated database; 2.5 tickets an order. Gate codes can be read only by a server with this secret."""
    db = await asyncpg.connect(dsn, command_timeout=1800)
    try:
        async with db.transaction():
            await _clear_stage(db)
            await _build_houses(db, events, Vault(secret or "only for measuring, never for anything else"))
            for name, statement in _steps():
                started = time.monotonic()
                await db.execute(_with_sizes(statement, orders, events))
                say(f"  {name}: {time.monotonic() - started:.1f} s")
        started = time.monotonic()
        await db.execute("VACUUM (ANALYZE)")
        say(f"  swept and counted: {time.monotonic() - started:.1f} s")
    finally:
        await db.close()


def _steps() -> list[tuple[str, str]]:
    """The statements of `fill.sql`, each under its name."""
    parts = STEPS.read_text().split("-- step: ")[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def _with_sizes(statement: str, orders: int, events: int) -> str:
    sizes = {
        "orders": orders,
        "events": events,
        "customers": max(10, int(orders * CUSTOMERS_PER_ORDER)),
        "epoch": int(EPOCH),
        "ticks": TICKS_PER_SECOND,
        "node": NODE,
    }
    for name, size in sizes.items():
        statement = statement.replace(f":{name}", str(size))
    return statement


async def _clear_stage(db: asyncpg.Connection) -> None:
    if await db.fetchval("SELECT EXISTS (SELECT FROM events WHERE title LIKE 'Full House %')"):
        raise SystemExit("This database is full already.")


async def _build_houses(db: asyncpg.Connection, events: int, vault: Vault) -> None:
    """Region, category, venue, hosts, events and sections; every third event is over."""
    new = NEW_IDS.new
    region, category, venue = new(), new(), new()
    await db.execute(
        "INSERT INTO regions (id, name, name_key, country, district, city)"
        " VALUES ($1, 'Full House', lower('Full House'), 'Antigua and Barbuda', '', '')",
        region,
    )
    await db.execute(
        "INSERT INTO categories (id, name, name_key, subcategories)"
        " VALUES ($1, 'Full House', lower('Full House'), '{Rock,Jazz}')",
        category,
    )
    await db.execute(
        "INSERT INTO venues (id, name, name_key, region_id, address, longitude, latitude, timezone)"
        " VALUES ($1, 'Full House', lower('Full House'), $2, 'High Street', -61.79, 17.14, 'America/Antigua')",
        venue,
        region,
    )
    hosts = [new() for _ in range(-(-events // EVENTS_PER_HOST))]
    await db.executemany(
        "INSERT INTO hosts VALUES ($1, $2, 'Ann Other', 'ann@example.com', 'Shows', '', '', '', '', '', '', '',"
        " '', NULL, lower($2), '')",
        [(host, f"Full House {number}") for number, host in enumerate(hosts, 1)],
    )
    await db.execute("CREATE TEMP TABLE house (number int, event_id bigint, past boolean) ON COMMIT DROP")
    await db.execute(
        "CREATE TEMP TABLE house_section (event_number int, number int, id bigint, cents bigint, fee bigint, stem text)"
        " ON COMMIT DROP"
    )
    for number in range(1, events + 1):
        await _build_event(db, vault, number, (hosts[(number - 1) // EVENTS_PER_HOST], category, venue))


async def _build_event(db: asyncpg.Connection, vault: Vault, number: int, belongs: Sequence[int]) -> None:
    event, title, past = NEW_IDS.new(), f"Full House {number}", number % 3 == 0
    day = f"{2026 if past else 2034}-06-{number % 28 + 1:02}"
    await db.execute(
        """INSERT INTO events (id, host_id, category_id, venue_id, subcategory, timezone, type, title, description,
                               status, approved, public, start_text, end_text, starts_at, ends_at, disclaimer, tags,
                               published_at, title_key, title_sort)
           VALUES ($1, $2, $3, $4, 'Rock', 'America/Antigua', 'Standard', $5, 'A night to remember', 'Listed', true,
                   true, $6, $7, instant($6, 'America/Antigua'), instant($7, 'America/Antigua'), '', '[]', clock(),
                   lower($5), '')""",
        event,
        *belongs,
        title,
        f"{day}T20:00",
        f"{day}T23:00",
    )
    await issue_token(db, vault, NEW_IDS.new(), event, is_global=True)
    await db.execute("INSERT INTO house VALUES ($1, $2, $3)", number, event, past)
    bands = parse_bands(Settings().fees)
    for place, name in enumerate(SECTIONS):
        section = NEW_IDS.new()
        cents = 0 if name == "Gallery" else PRICES[(number + place) % len(PRICES)]
        await db.execute(
            """INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text,
                                     sales_end_text, sales_start, sales_end, active, capacity, name_key)
               VALUES ($1, $2, $3, 'Seats', $4, '2024-01-01T00:00', $5, instant('2024-01-01T00:00', 'America/Antigua'),
                       instant($5, 'America/Antigua'), true, 0, lower($3))""",
            section,
            event,
            name,
            cents,
            f"{day}T20:00",
        )
        await db.execute(
            "INSERT INTO house_section VALUES ($1, $2, $3, $4, $5, $6)",
            *(number, place, section, cents, fee_cents(cents, bands), serial_stem(title, name)),
        )


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, flush=True)


async def main() -> None:
    """Fill the database that DATABASE_URL names."""
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="2.5 tickets each")
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        raise SystemExit("Set DATABASE_URL to the PostgreSQL to fill.")
    started = time.monotonic()
    await migrate(dsn)
    await fill(dsn, orders=options.orders, events=options.events, secret=os.environ.get("TICKETING_SECRET", ""))
    say(f"{options.orders * 5 // 2:,} tickets in {options.orders:,} orders: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
