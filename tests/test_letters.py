"""Posting letters: with what causes them, complete, and with nothing personal in the clear."""

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag

from conftest import SECRET, Client
from mailing import postman
from makers import register
from ticketing.kit.vault import Vault
from ticketing.letters.posting import BUNDLE, LARGEST_LOOSE, Letter, erase_letters, post, seal, unseal
from ticketing.settings import Settings

VAULT = Vault(SECRET)


async def test_letters_are_posted_with_what_causes_them(db: asyncpg.Connection, alice: Client, bob: Client) -> None:
    undone = db.transaction()
    await undone.start()
    await post(db, [Letter("welcome", account=alice.id)])
    await undone.rollback()
    assert await db.fetchval("SELECT count(*) FROM mails") == 0

    await post(db, [Letter("welcome", account=alice.id), Letter("order_fulfilled", account=bob.id, about={"order": 7})])
    rows = await db.fetch("SELECT letter, account_id, about, status, message_id FROM mails ORDER BY id")
    assert [tuple(row)[:4] for row in rows] == [
        ("welcome", alice.id, "{}", "Waiting"),
        ("order_fulfilled", bob.id, '{"order": 7}', "Waiting"),
    ]
    assert rows[0]["message_id"] != rows[1]["message_id"]
    await post(db, [])
    assert await db.fetchval("SELECT count(*) FROM mails") == 2


async def test_many_letters_at_once_are_one_row_that_the_worker_writes_out(
    database: str, db: asyncpg.Connection, alice: Client, bob: Client, public: Client
) -> None:
    gone = await register(public)
    gone_id = await db.fetchval("SELECT id FROM accounts WHERE number = $1", gone.number)
    await db.execute("DELETE FROM mails")
    await post(
        db,
        [
            *(Letter("order_fulfilled", account=alice.id, about={"order": order}) for order in range(LARGEST_LOOSE)),
            Letter("welcome", account=bob.id),
            Letter("welcome", account=gone_id),
            Letter("event_cancelled", about={"event": 7}),
        ],
    )
    assert [tuple(row) for row in await db.fetch("SELECT letter, account_id FROM mails")] == [(BUNDLE, None)]
    assert (await gone.delete(f"/accounts/{gone.number}")).status == 200
    settings = Settings(database_url=database, secret=SECRET, mail="none")
    async with postman(settings) as office:
        await office.make_round()
    rows = await db.fetch("SELECT letter, account_id, about ->> 'order' AS order, status FROM mails ORDER BY id")
    assert [tuple(row) for row in rows] == [
        *(("order_fulfilled", alice.id, str(order), "Dropped") for order in range(LARGEST_LOOSE)),
        ("welcome", bob.id, None, "Dropped"),
        ("event_cancelled", None, None, "Distributed"),
    ]
    sealed = seal(VAULT, {"code": "271828"})
    await post(db, [Letter("reset", account=alice.id, sealed=sealed)] * (LARGEST_LOOSE + 1))
    assert await db.fetchval("SELECT count(*) FROM mails WHERE letter = 'reset'") == LARGEST_LOOSE + 1


async def test_what_is_sealed_is_for_the_worker_alone(db: asyncpg.Connection, alice: Client) -> None:
    sealed = seal(VAULT, {"code": "271828"})
    assert b"271828" not in sealed
    assert sealed != seal(VAULT, {"code": "271828"})
    await post(db, [Letter("reset", account=alice.id, sealed=sealed)])
    kept = await db.fetchval("SELECT sealed FROM mails WHERE letter = 'reset'")
    assert unseal(VAULT, kept) == {"code": "271828"}
    assert unseal(VAULT, None) == {}
    with pytest.raises(InvalidTag):
        unseal(Vault("another secret, thirty-two characters long"), kept)


@pytest.mark.parametrize(
    ("letter", "fault"),
    [
        (Letter("order_fulfilled", account=1), "says nothing about order"),
        (Letter("refund", account=1, about={"order": 1}), "says nothing about refund"),
        (Letter("welcome"), "to which account"),
        (Letter("event_cancelled", account=1, about={"event": 1}), "goes to all"),
        (Letter("reset", account=1), "nothing is sealed"),
    ],
    ids=lambda value: value.name if isinstance(value, Letter) else "",
)
async def test_an_incomplete_letter_is_a_fault_where_it_is_posted(
    db: asyncpg.Connection, letter: Letter, fault: str
) -> None:
    before = await db.fetchval("SELECT count(*) FROM mails")
    with pytest.raises(ValueError, match=fault):
        await post(db, [Letter("welcome", account=1), letter])
    assert await db.fetchval("SELECT count(*) FROM mails") == before


async def test_what_was_posted_to_somebody_can_be_forgotten(db: asyncpg.Connection, alice: Client, bob: Client) -> None:
    await post(db, [Letter("welcome", account=alice.id), Letter("welcome", account=bob.id)])
    await erase_letters(db, alice.id)
    assert await db.fetchval("SELECT count(*) FROM mails WHERE account_id = $1", alice.id) == 0
    assert await db.fetchval("SELECT count(*) FROM mails WHERE account_id = $1", bob.id) > 0
