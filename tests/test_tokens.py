"""Gate tokens: what staff open a gate with."""

import asyncio
import itertools
import re

import asyncpg
import pytest

from conftest import NEW_IDS, SECRET, Client, MakePerson
from makers import gate, id_of, make_event, make_section, section_uri
from ticketing.kit.vault import Vault, hash_key
from ticketing.sessions import gate_keys

GENERAL = {"error": "There is presently no resource with the given URI."}
RESTRICTED = {"message": "You are restricted from accessing this resource."}
STRANGER = "This account is not an administrator for the relevant event host."
GLOBAL = "The global admission token cannot be modified or invalidated."
NO_CODE = "The provided code does not belong to any event token"
MISSING = "The following arguments are required, but have not been supplied: sections."
INVALID = "The following arguments have invalid values: sections."


async def test_the_global_token_opens_every_section_later_ones_too(alice: Client, administrator: Client) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    assert token == {
        "self": token["self"],
        "code": token["code"],
        "global": True,
        "sections": [],
    }
    assert re.fullmatch(rf"{event['self']}/tokens/[0-9]+", token["self"])
    assert re.fullmatch("[0-9A-Z]{8}", token["code"])
    floor, balcony = await make_section(alice, event), await make_section(alice, event)
    both = [section_uri(event, floor), section_uri(event, balcony)]
    assert (await alice.get(token["self"]))["sections"] == both
    await alice.delete(both[0])
    assert (await administrator.get(token["self"]))["sections"] == both[1:]


async def test_a_host_issues_changes_and_invalidates_a_token(
    alice: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    floor, balcony = [section_uri(event, await make_section(alice, event)) for _ in range(2)]
    issued = await alice.post(f"{event['self']}/tokens", sections=[balcony, floor, balcony])
    assert (issued.status, issued["global"], issued["sections"]) == (201, False, [floor, balcony])
    assert (await alice.get(issued["self"])).body == issued.body
    narrowed = await alice.put(issued["self"], sections=[balcony])
    assert (narrowed.status, narrowed["code"], narrowed["sections"]) == (200, issued["code"], [balcony])
    key = (await public.get(f"/tokens/{issued['code']}"))["key"]
    door = gate(public, key)
    assert (await door.get(f"{event['self']}/tickets")).status == 200
    gone = await alice.delete(issued["self"], {})
    assert (gone.status, list(gone.body)) == (200, ["message"])
    refused = await door.get(f"{event['self']}/tickets")
    assert (refused.status, refused.body) == (403, RESTRICTED)
    for missing in (await alice.get(issued["self"]), await alice.delete(issued["self"])):
        assert (missing.status, missing.body) == (404, GENERAL)
    assert (await public.get(f"/tokens/{issued['code']}")).error == NO_CODE
    told = await db.fetch("SELECT action, detail FROM history WHERE thing = $1 ORDER BY id", issued["self"])
    assert [row["action"] for row in told] == ["token.issued", "token.updated", "token.invalidated"]
    assert not any(issued["code"] in row["detail"] for row in told)


async def test_the_list_shows_the_global_token_first_and_filters_by_it(alice: Client, administrator: Client) -> None:
    event = await make_event(alice, administrator)
    floor = section_uri(event, await make_section(alice, event))
    path = f"{event['self']}/tokens"
    issued = [(await alice.post(path, sections=[floor])).body for _ in range(2)]
    everything = await alice.get(path)
    assert (everything["total"], everything["entries"][0]["global"]) == (3, True)
    assert everything["entries"][1:] == issued
    descending = (await alice.get(path, order="desc"))["entries"]
    assert descending == [everything["entries"][0], *reversed(issued)]
    assert (await alice.get(path, **{"global": "true"}))["entries"] == everything["entries"][:1]
    assert (await alice.get(path, **{"global": "0"}))["entries"] == issued
    faulty = await alice.get(path, **{"global": "maybe"})
    assert (faulty.status, faulty.error) == (400, "The following arguments have invalid values: global.")
    unknown = await alice.get(path, code="X")
    assert unknown.error == "The collection does not support the following filters: code."


async def test_foreign_and_faulty_sections_are_invalid(alice: Client, administrator: Client) -> None:
    event, other = await make_event(alice, administrator), await make_event(alice, administrator)
    floor = await make_section(alice, event)
    foreign = section_uri(other, await make_section(alice, other))
    path = f"{event['self']}/tokens"
    for body in ({}, {"sections": []}, {"sections": None}, {"sections": ""}):
        refused = await alice.post(path, body)
        assert (refused.status, refused.error) == (400, MISSING)
    mixed = f"{event['self']}{foreign.removeprefix(other['self'])}"
    own = section_uri(event, floor)
    for sections in (
        [own, foreign],
        [mixed],
        [f"{other['self']}{floor['self']}"],
        ["nonsense"],
        [f"{own}/"],
        [7],
        "text",
        [own + "\x00"],
        [[own]],
        {"a": 1},
        [f"/events/{'9' * 400}/sections/1"],
        [own] * 1001,
    ):
        refused = await alice.post(path, sections=sections)
        assert (refused.status, refused.error) == (400, INVALID), sections
    await alice.delete(own)
    assert (await alice.post(path, sections=[own])).error == INVALID


async def test_the_global_token_stays_as_it_is(alice: Client, administrator: Client) -> None:
    event = await make_event(alice, administrator)
    floor = section_uri(event, await make_section(alice, event))
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    assert (await alice.put(token["self"], {})).error == MISSING
    for person in (alice, administrator):
        for refused in (await person.put(token["self"], sections=[floor]), await person.delete(token["self"])):
            assert (refused.status, refused.error) == (409, GLOBAL)


async def test_only_those_who_run_the_event_see_its_tokens(
    alice: Client, bob: Client, support: Client, public: Client, administrator: Client
) -> None:
    event = await make_event(alice, administrator)
    floor = section_uri(event, await make_section(alice, event))
    token = (await alice.post(f"{event['self']}/tokens", sections=[floor])).body
    key = (await public.get(f"/tokens/{token['code']}"))["key"]
    for stranger in (bob, support):
        for refused in (
            await stranger.get(f"{event['self']}/tokens"),
            await stranger.post(f"{event['self']}/tokens", {}),
            await stranger.get(token["self"]),
            await stranger.put(token["self"], {}),
            await stranger.delete(token["self"]),
        ):
            assert (refused.status, refused.error) == (403, STRANGER)
    for restricted in (public, gate(public, key)):
        refused = await restricted.get(f"{event['self']}/tokens")
        assert (refused.status, refused.body) == (403, RESTRICTED)
    other = await make_event(alice, administrator)
    elsewhere = token["self"].replace(event["self"], other["self"])
    for path in ("/events/1/tokens", "/events/x/tokens", elsewhere, f"{event['self']}/tokens/%00", f"{floor}/tokens"):
        assert (await alice.get(path)).status == 404, path


async def test_a_code_opens_its_gate_and_nothing_else(alice: Client, administrator: Client, public: Client) -> None:
    event = await make_event(alice, administrator)
    floor, _balcony = [section_uri(event, await make_section(alice, event)) for _ in range(2)]
    token = (await alice.post(f"{event['self']}/tokens", sections=[floor])).body
    answer = await public.get(f"/tokens/{token['code']}")
    assert answer.status == 200
    assert answer.body == {"key": answer["key"], "event": event["self"], "sections": [floor]}
    assert re.fullmatch("[0-9a-f]{32}", answer["key"])
    assert (await alice.get(f"/tokens/{token['code'].lower()}")).body == answer.body
    door = gate(public, answer["key"])
    assert (await door.get(event["self"])).status == 200
    for path in (f"/tokens/{token['code']}", "/hosts", f"/accounts/{alice.number}", "/events"):
        refused = await door.get(path)
        assert (refused.status, refused.body) == (403, RESTRICTED), path


async def test_codes_that_nobody_has(public: Client) -> None:
    for code in ("AAAAAAAA", "x", "A" * 5000, "%00%00%00%00%00%00%00%00", "ÄÖÜßÄÖÜß", "ßßßß"):
        refused = await public.get(f"/tokens/{code}")
        assert (refused.status, refused.error) == (404, NO_CODE), code


async def test_a_cancelled_events_codes_and_keys_open_nothing(
    alice: Client, administrator: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    key = (await public.get(f"/tokens/{token['code']}"))["key"]
    door = gate(public, key)
    assert (await door.get(f"{event['self']}/admissions")).status == 200
    cancelled = await alice.post(f"{event['self']}/cancellations", reason="rain")
    assert cancelled.status == 200, cancelled.body
    assert (await public.get(f"/tokens/{token['code']}")).error == NO_CODE
    for refused in (
        await door.get(f"{event['self']}/tickets"),
        await door.get(f"{event['self']}/admissions"),
        await door.post(f"{event['self']}/admissions", redeemer="a", device="b", serials=["c"]),
    ):
        assert (refused.status, refused.body) == (403, RESTRICTED)


async def test_codes_and_keys_cannot_be_read_from_the_database(
    alice: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    key = (await public.get(f"/tokens/{token['code']}"))["key"]
    row = await db.fetchrow("SELECT * FROM tokens WHERE id = $1", int(id_of(token)))
    assert row["key_hash"] == hash_key(key)
    assert not any(secret in repr(tuple(row)) for secret in (token["code"], key))


async def test_a_code_that_exists_is_drawn_again(
    alice: Client, administrator: Client, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await make_event(alice, administrator)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    drawn = itertools.chain(token["code"], "0CLASH00")
    monkeypatch.setattr(gate_keys.secrets, "choice", lambda _alphabet: next(drawn))
    vault = Vault(SECRET)
    token_id = await gate_keys.issue_token(db, vault, NEW_IDS.new(), int(id_of(event)), is_global=False)
    sealed = await db.fetchval("SELECT code_encrypted FROM tokens WHERE id = $1", token_id)
    assert gate_keys.read_code(vault, sealed) == "0CLASH00"


async def test_sections_change_under_an_open_gate(
    alice: Client, administrator: Client, public: Client, make_person: MakePerson
) -> None:
    """A token that two people change at once has the sections of one of them, whole."""
    event = await make_event(alice, administrator)
    sections = [section_uri(event, await make_section(alice, event)) for _ in range(4)]
    token = (await alice.post(f"{event['self']}/tokens", sections=sections[:1])).body
    answers = await asyncio.gather(
        *(alice.put(token["self"], sections=chosen) for chosen in (sections[:2], sections[2:]) for _ in range(4))
    )
    assert {answer.status for answer in answers} == {200}
    assert (await alice.get(token["self"]))["sections"] in (sections[:2], sections[2:])


async def test_codes_are_read_forgivingly(
    alice: Client, administrator: Client, public: Client, db: asyncpg.Connection
) -> None:
    events = [await make_event(alice, administrator) for _ in range(3)]
    keys = []
    for event, code in zip(events, ("XL5K7Q8Z", "YO5I7Q8Z", "Y05I7Q8Z"), strict=True):
        (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
        assert not set(token["code"]) & set("0O1I")
        await gate_keys.change_code(db, Vault(SECRET), int(id_of(token)), code)
        keys.append((await public.get(f"/tokens/{code}"))["event"])
    assert keys == [event["self"] for event in events]
    for typed in ("x15k-7q8z", "XI5K%207Q8Z", "xl5k7q8z"):
        assert (await public.get(f"/tokens/{typed}"))["event"] == events[0]["self"]
    assert (await public.get("/tokens/YO5I7Q8Z"))["event"] == events[1]["self"]
    assert (await public.get("/tokens/YO5L7Q8Z")).error == NO_CODE  # two may be meant
