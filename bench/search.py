"""`python -m bench.search`: what finding events by words and titles costs among 100,000, in every script.

A third of the titles each in Latin, Cyrillic and Arabic letters or Chinese characters. Medians of nine pages of 25,
asked of the database as `GET /published-events` asks it.
"""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import asyncpg

from bench.__main__ import database
from bench.seed import seed
from ticketing.events.finding import page_of_events
from ticketing.events.queries import PUBLISHED_EVENTS
from ticketing.kit.collation import sort_key
from ticketing.kit.identity import identity
from ticketing.kit.searching import fold, pieces
from ticketing.web.errors import InvalidValues

TITLES = 100_000
WORDS = [
    "night jazz éclair dawn theatre concert café live open summer winter festival rock soul river garden",
    "вечер джаз концерт театр лето зима река сад музыка ночь город звезда",
    "ليلة موسيقى حفلة مسرح صيف مدينة 東京 音楽 夜 音乐会 剧院 北京 春节 星空",
]
SCOPE = "event.status = 'Listed' AND event.public AND event.removed_at IS NULL"
ASKED = [
    {"search": "summer jazz"},
    {"search": "eclair"},
    {"search": "концерт лето"},
    {"search": "夜"},
    {"search": "موسيقى"},
    {"search": "nowhere at all"},
    {"title": "4711"},
    {"title": "^Jazz.*4711"},
    {"title": "МУЗЫКА 99"},
]


async def main() -> None:
    """Fill, then ask."""
    with tempfile.TemporaryDirectory(prefix="ticketing-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        async with database(Path(folder) / "data") as dsn:
            stage = await seed(dsn)
            db = await asyncpg.connect(dsn)
            await _fill(db, stage.event)
            for query in ASKED:
                print(f"{query}: {await _measure(db, query)}", flush=True)
            await db.close()


async def _measure(db: asyncpg.Connection, query: dict[str, str]) -> str:
    seconds, found = [], ""
    for _ in range(9):
        began = time.perf_counter()
        try:
            page = await page_of_events(db, PUBLISHED_EVENTS, query, lambda row: row, where=SCOPE)
            found = f"{page.total:,} found"
        except InvalidValues:
            found = "refused: it takes too long"
        seconds.append(time.perf_counter() - began)
    return f"{statistics.median(seconds) * 1000:.1f} ms, {found}"


async def _fill(db: asyncpg.Connection, event: int) -> None:
    """Copies of one event under other titles."""
    made = random.Random(7)
    kinds = [words.split() for words in WORDS]
    titles = [
        " ".join([*(made.choice(kinds[number % 3]).capitalize() for _ in range(4)), str(number)])
        for number in range(TITLES)
    ]
    await db.executemany(
        """INSERT INTO events (id, host_id, category_id, subcategory, venue_id, timezone, type, title, description,
                               status, approved, public, start_text, end_text, starts_at, ends_at, disclaimer, tags,
                               published_at, title_key, title_sort, search_text, search_pieces)
           SELECT $1, host_id, category_id, subcategory, venue_id, timezone, type, $2, description, status, approved,
                  public, start_text, end_text, starts_at, ends_at, disclaimer, tags, published_at, $3, $4, $5, $6
             FROM events WHERE id = $7""",
        [
            (number + 1, title, identity(title), sort_key(title), fold(title), pieces(fold(title)), event)
            for number, title in enumerate(titles)
        ],
    )
    await db.execute("VACUUM (ANALYZE) events")


if __name__ == "__main__":
    asyncio.run(main())
