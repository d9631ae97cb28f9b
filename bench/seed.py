"""What the measurements run on: one host, one listed event with three sections, people with open sessions."""

import hashlib
import secrets
from dataclasses import dataclass

import asyncpg

from ticketing.kit.ids import Ids
from ticketing.kit.vault import hash_key

NEW_IDS = Ids(254)
PLACES = 100_000_000


@dataclass(frozen=True)
class Seeded:
    """Where the load goes."""

    event: int
    sections: list[int]
    key: str
    customer: int


async def seed(dsn: str, *, sections: int = 3, price_cents: int = 0) -> Seeded:
    """Write the stage; returns its ids and a customer's key."""
    db = await asyncpg.connect(dsn)
    try:
        return await _seed(db, sections, price_cents)
    finally:
        await db.close()


async def _seed(db: asyncpg.Connection, sections: int, price_cents: int) -> Seeded:
    new = NEW_IDS.new
    region, category, venue, host, event = new(), new(), new(), new(), new()
    name = secrets.token_hex(4)
    customer, key = await add_customer(db, name)
    await db.execute(
        "INSERT INTO regions (id, name, name_key, country, district, city)"
        " VALUES ($1, $2, lower($2), 'Antigua and Barbuda', '', '')",
        region,
        name,
    )
    await db.execute(
        "INSERT INTO categories (id, name, name_key, subcategories) VALUES ($1, $2, lower($2), '{Rock,Jazz}')",
        category,
        name,
    )
    await db.execute(
        "INSERT INTO venues (id, name, name_key, region_id, address, longitude, latitude, timezone)"
        " VALUES ($1, $2, lower($2), $3, 'Queen Elizabeth Highway', -61.79, 17.14, 'America/Antigua')",
        venue,
        name,
        region,
    )
    await db.execute(
        "INSERT INTO hosts VALUES ($1, $2, 'Ann Other', 'ann@example.com', 'Shows', '', '', '', '', '', '', '',"
        " '', NULL, lower($2), '')",
        host,
        name,
    )
    await db.execute("INSERT INTO host_administrators VALUES ($1, $2, clock())", host, customer)
    await db.execute(
        """INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,
                               status, approved, public, start_text, end_text, starts_at, ends_at, disclaimer, tags,
                               published_at, title_key, title_sort)
           VALUES ($1, $2, $3, 'Rock', $4, 'America/Antigua', 'Standard', $5, 'A night to remember', 'Listed', true,
                   true, '2034-06-07T20:00', '2034-06-07T23:00', '2034-06-08T00:00Z', '2034-06-08T03:00Z', '', '[]',
                   clock(), lower($5), '')""",
        event,
        host,
        category,
        venue,
        f"Night {name}",
    )
    section_ids = [new() for _ in range(sections)]
    await db.executemany(
        """INSERT INTO sections (id, event_id, name, description, base_price_cents, sales_start_text, sales_end_text,
                                 active, capacity, name_key)
           VALUES ($1, $2, $3, 'Standing', $4, '2026-01-01T00:00', '2034-06-07T20:00', true, $5, lower($3))""",
        [(section, event, f"Section {n}", price_cents, PLACES) for n, section in enumerate(section_ids)],
    )
    return Seeded(event, section_ids, key, customer)


async def add_customers(dsn: str, count: int) -> list[str]:
    """So many customers with an open session each: their keys."""
    keys = [secrets.token_hex(16) for _ in range(count)]
    accounts = [NEW_IDS.new() for _ in keys]
    db = await asyncpg.connect(dsn)
    try:
        await db.execute(
            """INSERT INTO accounts (id, number, username, username_key, email, email_key, password_hash, role,
                                 created_at)
               SELECT id, name, name, lower(name), name || '@example.com', lower(name || '@example.com'), '',
                      'customer', clock()
                 FROM unnest($1::bigint[], $2::text[]) AS new (id, name)""",
            accounts,
            [f"BU-{account % 2**32:08X}" for account in accounts],
        )
        await db.execute(
            """INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at)
               SELECT id, id, key_hash, '', '', clock() FROM unnest($1::bigint[], $2::bytea[]) AS new (id, key_hash)""",
            accounts,
            [hash_key(key) for key in keys],
        )
    finally:
        await db.close()
    return keys


async def add_customer(db: asyncpg.Connection, name: str) -> tuple[int, str]:
    """A customer with an open session: the account's id and the key."""
    account, key = NEW_IDS.new(), secrets.token_hex(16)
    number = f"{name[:2].upper()}-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
    await db.execute(
        "INSERT INTO accounts (id, number, username, username_key, email, email_key, password_hash, role, created_at)"
        " VALUES ($1, $2, $3, lower($3), $4, lower($4), '', 'customer', clock())",
        account,
        number,
        name,
        f"{name}@example.com",
    )
    await db.execute(
        "INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at) VALUES ($1, $2, $3, '', '', clock())",
        NEW_IDS.new(),
        account,
        hash_key(key),
    )
    return account, key
