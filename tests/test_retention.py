"""What was kept long enough is forgotten; what was not, and what is still needed, stays."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from conftest import Client, MakePerson
from ticketing.admissions.jobs import forget_refused_scans
from ticketing.jobs import retention
from ticketing.kit.database import Database
from ticketing.mail.jobs import forget_mail
from ticketing.sessions.jobs import forget_history, forget_sessions
from ticketing.settings import Settings
from ticketing.web.operations import Services

DAYS = {"keep_sessions_days": 30, "keep_letters_days": 20, "keep_refused_scans_days": 10, "keep_history_days": 40}


@pytest.fixture
async def database_of_job(settings: Settings, app: object) -> AsyncIterator[Database]:
    database = Database(settings.database_url, pool_size=2)
    await database.open()
    yield database
    await database.close()


def keeping(settings: Settings, database: Database, **days: int) -> Services:
    return Services(database, Settings(database_url=settings.database_url, secret=settings.secret, **days))


async def fill(db: asyncpg.Connection, ages: list[int]) -> None:
    await db.execute("TRUNCATE mails, history, refused_scans")
    await db.execute(
        "INSERT INTO mails (letter, about, posted_at, due_at, status, done_at)"
        " SELECT 'welcome', '{}', clock(), clock(), 'Sent', clock() - make_interval(days => age)"
        "   FROM unnest($1::int[]) age",
        ages,
    )
    await db.execute(
        "INSERT INTO mails (letter, about, posted_at, due_at, status)"
        " VALUES ('welcome', '{}', clock() - interval '30 minutes', clock() + interval '1 day', 'Waiting')"
    )
    await db.execute(
        "INSERT INTO history (id, at, request, action, thing, detail)"
        " SELECT age, clock() - make_interval(days => age), '', 'a', '/b', '{}' FROM unnest($1::int[]) age",
        ages,
    )
    await db.execute(
        "INSERT INTO refused_scans (id, event_id, serial, reason, redeemer, device, scanned_at)"
        " SELECT age, 1, '', '', '', '', clock() - make_interval(days => age) FROM unnest($1::int[]) age",
        ages,
    )


async def ages(db: asyncpg.Connection, table: str, column: str) -> list[int]:
    rows = await db.fetch(f"SELECT extract(day FROM clock() - {column})::int AS age FROM {table} ORDER BY 1")
    return [row["age"] for row in rows]


async def test_each_kind_is_kept_for_its_days(
    db: asyncpg.Connection, settings: Settings, database_of_job: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)  # several batches
    await fill(db, list(range(5, 60, 5)))
    services = keeping(settings, database_of_job, **DAYS)
    for job in (forget_mail, forget_history, forget_refused_scans):
        await job.run(services)
    assert await ages(db, "mails WHERE done_at IS NOT NULL", "done_at") == [5, 10, 15]
    assert await db.fetchval("SELECT count(*) FROM mails WHERE status = 'Waiting'") == 1
    assert await ages(db, "history", "at") == [5, 10, 15, 20, 25, 30, 35]
    assert await ages(db, "refused_scans", "scanned_at") == [5]


async def test_nothing_is_forgotten_where_that_is_said(
    db: asyncpg.Connection, settings: Settings, database_of_job: Database
) -> None:
    await fill(db, [5000])
    services = keeping(settings, database_of_job, **dict.fromkeys(DAYS, 0))
    for job in (forget_mail, forget_history, forget_refused_scans, forget_sessions):
        await job.run(services)
    assert await ages(db, "history", "at") == [5000]
    assert await db.fetchval("SELECT count(*) FROM mails") == 2


async def test_open_sessions_stay_whatever_their_age(
    db: asyncpg.Connection, settings: Settings, database_of_job: Database, make_person: MakePerson
) -> None:
    people = {name: await make_person(name) for name in ("open", "ended", "idle", "lately")}
    ends = {
        "open": "idle_until = clock() + interval '1 day'",
        "ended": "ended_at = clock() - interval '31 days'",
        "idle": "idle_until = clock() - interval '31 days'",
        "lately": "ended_at = clock() - interval '29 days'",
    }
    for name, end in ends.items():
        await db.execute(
            f"UPDATE sessions SET started_at = clock() - interval '400 days', {end} WHERE account_id = $1",
            people[name].id,
        )
    await forget_sessions.run(keeping(settings, database_of_job, **DAYS))

    async def sessions(person: Client) -> int:
        count: int = await db.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", person.id)
        return count

    assert {name: await sessions(person) for name, person in people.items()} == {
        "open": 1,
        "ended": 0,
        "idle": 0,
        "lately": 1,
    }
    assert (await people["open"].get("/sessions/active")).status == 200
