"""Gate tokens that get another code and another key, and when they get them by themselves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import SECRET, Answer, Client, MakePerson, unique
from makers import gate, id_of, list_event, make_event, make_host, make_section, section_uri
from test_serving import command
from ticketing.admissions import queries
from ticketing.app import build_app
from ticketing.sessions import gate_keys
from ticketing.settings import Settings

RESTRICTED = {"message": "You are restricted from accessing this resource."}
NO_CODE = "The provided code does not belong to any event token"
STRANGER = "This account is not an administrator for the relevant event host."


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another worker on the same database."""
    edge = build_app(settings)
    transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
    async with (
        edge.app.router.lifespan_context(edge.app),
        httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as client,
    ):
        yield client


async def global_token(runner: Client, event: dict[str, Any]) -> dict[str, Any]:
    """The token that opens the whole event, as it is now."""
    listed = await runner.get(f"{event['self']}/tokens", **{"global": "true"})
    (token,) = listed["entries"]
    return dict(token)


async def key_of(visitor: Client, token: dict[str, Any]) -> str:
    """The key behind the token's code."""
    return str((await visitor.get(f"/tokens/{token['code']}"))["key"])


async def is_dead(visitor: Client, event: dict[str, Any], token: dict[str, Any], key: str) -> bool:
    """Whether neither the code of the token nor this key, which it stood for, opens anything any more."""
    typed = await visitor.get(f"/tokens/{token['code']}")
    scanner = await gate(visitor, key).get(f"{event['self']}/tickets")
    assert (typed.status, scanner.status) in ((404, 403), (200, 200)), (typed.body, scanner.body)
    return typed.status == 404


async def test_the_global_token_is_renewed(
    alice: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    floor = section_uri(event, await make_section(alice, event))
    known, keys = [await global_token(alice, event)], []
    for runner in (alice, administrator, alice):
        keys.append(await key_of(public, known[-1]))
        renewed = await runner.post(f"{known[-1]['self']}/renewals", {})
        assert renewed.status == 201
        assert renewed.body == known[0] | {"code": renewed["code"], "sections": [floor]}
        assert (await alice.get(renewed["self"])).body == renewed.body
        for token, key in zip(known, keys, strict=True):
            assert (await public.get(f"/tokens/{token['code']}")).error == NO_CODE
            refused = await gate(public, key).get(f"{event['self']}/tickets")
            assert (refused.status, refused.body) == (403, RESTRICTED)
        known.append(renewed.body)
        assert not await is_dead(public, event, renewed.body, await key_of(public, renewed.body))
    assert len({token["code"] for token in known}) == len(known)
    told = await db.fetch("SELECT action, detail FROM history WHERE thing = $1 ORDER BY id", known[0]["self"])
    assert [row["action"] for row in told] == ["token.renewed"] * 3
    assert not any(token["code"] in row["detail"] for row in told for token in known)


async def test_a_token_of_some_sections_keeps_them(alice: Client, administrator: Client, public: Client) -> None:
    event = await make_event(alice, administrator)
    floor, _balcony = [section_uri(event, await make_section(alice, event)) for _ in range(2)]
    token = (await alice.post(f"{event['self']}/tokens", sections=[floor])).body
    other = await global_token(alice, event)
    renewed = (await alice.post(f"{token['self']}/renewals")).body
    assert renewed == token | {"code": renewed["code"]}
    assert (await public.get(f"/tokens/{renewed['code']}"))["sections"] == [floor]
    assert await global_token(alice, event) == other


async def test_a_renewed_key_is_refused_by_every_worker(
    alice: Client, administrator: Client, public: Client, elsewhere: httpx.AsyncClient
) -> None:
    event = await make_event(alice, administrator)
    token = await global_token(alice, event)
    door = gate(public, await key_of(public, token))
    far = replace(door, http=elsewhere)
    for scanner in (door, far):  # both remember the key now
        assert (await scanner.get(f"{event['self']}/tickets")).status == 200
    assert (await alice.post(f"{token['self']}/renewals")).status == 201
    assert (await door.get(f"{event['self']}/tickets")).status == 403

    async def refused() -> None:
        while (await far.get(f"{event['self']}/tickets")).status != 403:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(refused(), 5)


async def test_who_may_renew_what(alice: Client, bob: Client, administrator: Client) -> None:
    event, other = await make_event(alice, administrator), await make_event(alice, administrator)
    token = await global_token(alice, event)
    refused = await bob.post(f"{token['self']}/renewals")
    assert (refused.status, refused.error) == (403, STRANGER)
    floor = section_uri(event, await make_section(alice, event))
    gone = (await alice.post(f"{event['self']}/tokens", sections=[floor])).body
    await alice.delete(gone["self"])
    for path in (gone["self"], f"{other['self']}/tokens/{id_of(token)}", f"{event['self']}/tokens/x"):
        assert (await alice.post(f"{path}/renewals")).status == 404, path
    assert (await global_token(alice, event))["code"] == token["code"]


async def test_two_who_renew_at_once_leave_one_code(alice: Client, administrator: Client, public: Client) -> None:
    event = await make_event(alice, administrator)
    token = await global_token(alice, event)
    answers = await asyncio.gather(*(alice.post(f"{token['self']}/renewals") for _ in range(6)))
    assert {answer.status for answer in answers} == {201}
    codes = {answer["code"] for answer in answers}
    assert len(codes) == 6
    opening = [code for code in codes if (await public.get(f"/tokens/{code}")).status == 200]
    assert opening == [(await global_token(alice, event))["code"]]


async def test_codes_that_exist_are_drawn_again(
    alice: Client, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await make_event(alice, administrator)
    token = await global_token(alice, event)
    drawn = iter([token["code"], token["code"], "NEWC0DE7"])
    monkeypatch.setattr(gate_keys, "new_code", lambda: next(drawn))
    assert (await alice.post(f"{token['self']}/renewals"))["code"] == "NEWC0DE7"


class Team:
    """Alice and Bob run a host with a draft, a listed event and one that is over; another host is Alice's alone."""

    def __init__(self, alice: Client, bob: Client, visitor: Client) -> None:
        self.alice, self.bob, self.visitor = alice, bob, visitor
        self.known: list[tuple[dict[str, Any], dict[str, Any], str]] = []
        self.foreign: list[tuple[dict[str, Any], dict[str, Any], str]] = []

    async def found(self, administrator: Client) -> "Team":
        self.host = await make_host(self.alice)
        people = f"{self.host['self']}/administrators"
        assert (await administrator.post(people, account=self.bob.number)).status == 201
        draft = await make_event(self.alice, administrator, self.host)
        self.listed = await make_event(self.alice, administrator, self.host)
        over = await make_event(self.alice, administrator, self.host, start="2024-01-01T20:00", end="2024-01-01T23:00")
        for event in (draft, self.listed, over):
            self.known += [await self._read(event, token) for token in await self._tokens(event)]
        await list_event(administrator, self.listed)
        own = await make_event(self.alice, administrator)
        self.foreign = [await self._read(own, token) for token in await self._tokens(own)]
        return self

    async def _tokens(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        floor = section_uri(event, await make_section(self.alice, event))
        assert (await self.alice.post(f"{event['self']}/tokens", sections=[floor])).status == 201
        return list((await self.alice.get(f"{event['self']}/tokens"))["entries"])

    async def _read(self, event: dict[str, Any], token: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
        return event, token, await key_of(self.visitor, token)

    async def ensure_renewed(self) -> None:
        """What Bob could read opens nothing, Alice reads what does, and the other host's codes are as they were."""
        assert len(self.known) == 6
        for event, token, key in self.known:
            assert await is_dead(self.visitor, event, token, key)
            now = (await self.alice.get(token["self"])).body
            assert now == token | {"code": now["code"]}
            assert not await is_dead(self.visitor, event, now, await key_of(self.visitor, now))
        for event, token, key in self.foreign:
            assert not await is_dead(self.visitor, event, token, key)


@pytest.fixture
async def team(make_person: MakePerson, administrator: Client, public: Client) -> Team:
    """Two who run a host."""
    return await Team(await make_person("alice"), await make_person("bob"), public).found(administrator)


async def test_a_removed_administrator_keeps_no_code(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_keys, "RENEWED_AT_A_TIME", 4)
    gone = await team.alice.delete(f"{team.host['self']}/administrators/{team.bob.number}")
    assert (gone.status, gone["message"]) == (
        200,
        "The administrator was removed from the event host. The gate codes of its events were renewed.",
    )
    await team.ensure_renewed()


async def test_who_leaves_a_host_keeps_no_code_either(team: Team) -> None:
    assert (await team.bob.delete(f"{team.host['self']}/administrators/{team.bob.number}")).status == 200
    await team.ensure_renewed()


async def test_who_was_never_one_renews_nothing(team: Team, make_person: MakePerson) -> None:
    carol = await make_person("carol")
    assert (await team.alice.delete(f"{team.host['self']}/administrators/{carol.number}")).status == 404
    for event, token, key in team.known:
        assert not await is_dead(team.visitor, event, token, key)


async def test_an_erased_account_keeps_no_code(team: Team) -> None:
    assert (await team.bob.delete(f"/accounts/{team.bob.number}")).status == 200
    await team.ensure_renewed()


async def test_a_closed_account_keeps_no_code(team: Team, support: Client) -> None:
    path = f"/accounts/{team.bob.number}/toggles"
    assert (await support.post(path, reason="fraud", activated=False)).status == 201
    await team.ensure_renewed()


async def test_who_asks_to_be_deleted_keeps_no_code(team: Team) -> None:
    assert (await team.bob.post(f"/accounts/{team.bob.number}/deletions", reason="moving on")).status == 200
    await team.ensure_renewed()


async def test_a_revoked_integration_keeps_no_code(
    make_person: MakePerson, administrator: Client, public: Client
) -> None:
    made = (await administrator.post("/integrations", name=unique("Gate app"), access="host")).body
    program = Client(public.http, made["key"], made["account"])
    team = await Team(await make_person("alice"), program, public).found(administrator)
    assert (await program.get(team.known[0][1]["self"])).body == team.known[0][1]
    assert (await administrator.delete(made["self"])).status == 200
    await team.ensure_renewed()


async def test_the_command_renews_with_the_servers_secret_or_does_nothing(
    make_person: MakePerson, administrator: Client, public: Client, database: str, tmp_path: Path
) -> None:
    made = (await administrator.post("/integrations", name=unique("Gate app"), access="host")).body
    program = Client(public.http, made["key"], made["account"])
    team = await Team(await make_person("alice"), program, public).found(administrator)

    async def revoke(**environment: str) -> tuple[int, str]:
        words = ("integrations", "revoke", id_of(made), "--data-dir", str(tmp_path))
        return await command(*words, DATABASE_URL=database, **environment)

    code, said = await revoke()
    assert (code, said) == (
        1,
        f"There is no secret in {tmp_path}: set TICKETING_SECRET to the server's, or --data-dir.",
    )
    code, said = await revoke(TICKETING_SECRET="another secret, which is long enough")
    assert code == 1
    assert said.startswith("The server's secret is another than the one in use here since ")
    assert (await program.get(team.known[0][1]["self"])).body == team.known[0][1]
    assert await revoke(TICKETING_SECRET=SECRET) == (0, "The key is revoked.")
    assert (await program.get(team.known[0][1]["self"])).status == 403
    await team.ensure_renewed()


@pytest.mark.parametrize("way", ["removed", "closed", "erased"])
async def test_who_reads_codes_while_he_is_removed_reads_old_ones(
    team: Team, administrator: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Bob was let in to read them; before he does, he is taken off, or closed."""
    at_the_door, may_go_on = asyncio.Event(), asyncio.Event()
    ensure = queries.ensure_administers

    async def ensure_slowly(*given: Any, **named: Any) -> None:
        await ensure(*given, **named)
        if given[1].number == team.bob.number:
            at_the_door.set()
            await may_go_on.wait()

    async def take_off() -> Answer:
        if way == "removed":
            return await team.alice.delete(f"{team.host['self']}/administrators/{team.bob.number}")
        if way == "closed":
            return await administrator.post(f"/accounts/{team.bob.number}/toggles", reason="fraud", activated=False)
        return await administrator.delete(f"/accounts/{team.bob.number}")

    monkeypatch.setattr(queries, "ensure_administers", ensure_slowly)
    reading = asyncio.create_task(team.bob.get(f"{team.listed['self']}/tokens"))
    await at_the_door.wait()
    removing = asyncio.create_task(take_off())
    await asyncio.wait([removing], timeout=0.3)
    may_go_on.set()
    read, removed = await reading, await removing
    assert removed.status in (200, 201), removed.body
    assert read.status == 200, read.body
    for token in read["entries"]:
        assert (await team.visitor.get(f"/tokens/{token['code']}")).error == NO_CODE
    await team.ensure_renewed()
