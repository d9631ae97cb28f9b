"""Changing one's password where one is signed in, and who stays signed in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import PASSWORD, Answer, Client
from mailed import letters
from makers import register
from ticketing.app import build_app
from ticketing.settings import Settings

NEW = "battery staple"


async def change(person: Client, current: object, password: object) -> Answer:
    return await person.put(f"/accounts/{person.number}/password", current=current, password=password)


async def signs_in(public: Client, person: Client, password: str) -> int:
    return (await public.post("/sessions", identification=person.username, password=password)).status


async def test_a_new_password_ends_the_other_sessions(public: Client, db: asyncpg.Connection) -> None:
    marvin = await register(public)
    elsewhere = await public.post("/sessions", identification=marvin.username, password=PASSWORD)
    changed = await change(marvin, PASSWORD, NEW)
    assert (changed.status, changed.body) == (200, {"message": "The password was changed."})
    assert (await marvin.get("/sessions/active")).status == 200
    assert (await Client(public.http, elsewhere["key"]).get("/sessions/active")).status == 401
    assert [await signs_in(public, marvin, password) for password in (PASSWORD, NEW)] == [401, 201]
    assert (await letters(db, marvin))[-1] == "password_changed"


async def test_it_takes_the_current_one(public: Client, alice: Client, administrator: Client) -> None:
    marvin = await register(public)
    wrong = await change(marvin, "wrong horse", NEW)
    assert (wrong.status, wrong.error) == (400, "The following arguments have invalid values: current.")
    assert wrong["details"] == {"current": "not the password of this account"}
    short = await change(marvin, PASSWORD, "short")
    assert (short.status, short.error) == (400, "The following arguments have invalid values: password.")
    missing = await change(marvin, "", None)
    assert missing.error == "The following arguments are required, but have not been supplied: current, password."
    for other in (alice, administrator):
        refused = await other.put(f"/accounts/{marvin.number}/password", current=PASSWORD, password=NEW)
        assert (refused.status, refused.error) == (403, "You are not authorised to access or modify this account.")
    assert await signs_in(public, marvin, PASSWORD) == 201


async def test_it_is_no_member_of_the_account(public: Client) -> None:
    marvin = await register(public)
    uri = f"/accounts/{marvin.number}"
    refused = await marvin.put(uri, password=NEW, firstName="Marvin", title="Dr")
    assert (refused.status, refused.error) == (400, "The following arguments have invalid values: password, title.")
    assert refused["details"]["password"] == "is changed by PUT /accounts/{number}/password"
    for empty in ("", None):
        assert (await marvin.put(uri, password=empty, firstName="Marvin")).status == 200
    assert await signs_in(public, marvin, PASSWORD) == 201


@pytest.fixture
async def strict(settings: Settings) -> AsyncIterator[Any]:
    """A server that bears three wrong passwords."""
    edge = build_app(replace(settings, rate_limits="on", wrong_passwords=3))
    async with edge.app.router.lifespan_context(edge.app):
        yield edge


async def test_guesses_from_within_a_stolen_session_are_counted(public: Client, strict: Any) -> None:
    marvin = await register(public)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=strict), base_url="http://t") as http:
        thief = replace(marvin, http=http)
        assert [(await change(thief, f"guess {n}", NEW)).status for n in range(5)] == [400, 400, 400, 429, 429]
        assert (await change(thief, PASSWORD, NEW)).status == 429
