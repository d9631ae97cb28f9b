"""Asking to be deleted, and being erased: nothing personal is left, what was sold is."""

import asyncio
import dataclasses
from typing import Any

import asyncpg
import pytest

from conftest import NEW_IDS, PASSWORD, Client, MakePerson, breaks_by_hand, clock_moved
from mailed import letters
from makers import (
    gate,
    hold_tickets,
    list_event,
    make_event,
    make_host,
    make_section,
    register,
    section_uri,
)
from test_accounts import NOT_LOCATED, NOT_YOURS, RESTRICTED, missing
from ticketing.orders.locking import lock_order
from ticketing.payments.attempts import conclude, open_attempt
from ticketing.payments.providers import Done
from ticketing.payments.rules import State


def deletions(person: Client) -> str:
    return f"/accounts/{person.number}/deletions"


async def test_who_asks_to_be_deleted_is_out_at_once_and_the_administrators_are_told(
    public: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(public)
    asked = await marvin.post(deletions(marvin), reason="I prefer the cinema")
    assert (asked.status, list(asked.body)) == (200, ["message"])
    assert (await marvin.get("/regions")).body == RESTRICTED
    refused = await public.post("/sessions", identification=marvin.email, password=PASSWORD)
    assert (refused.status, refused.error) == (403, "This account has been deactivated.")
    assert await letters(db, marvin) == ["welcome", "deactivated"]
    told = await db.fetchval("SELECT about FROM mails WHERE letter = 'deletion_requested'")
    account = await db.fetchval("SELECT id FROM accounts WHERE number = $1", marvin.number)
    assert told == f'{{"account": {account}}}'
    kept = await db.fetchval("SELECT detail FROM history WHERE action = 'account.deletion_requested'")
    assert kept == '{"reason": "I prefer the cinema"}'


async def test_only_oneself_asks_and_says_why(alice: Client, bob: Client, administrator: Client) -> None:
    for other in (bob, administrator):
        refused = await other.post(deletions(alice), reason="x")
        assert (refused.status, refused.error) == (403, NOT_YOURS)
    assert (await alice.post("/accounts/XX-00000000/deletions", reason="x")).error == NOT_LOCATED
    assert (await alice.post(deletions(alice), {})).error == missing("reason")
    assert (await alice.get("/regions")).status == 200


async def test_the_last_administrator_cannot_ask(
    administrator: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    await db.execute(
        "UPDATE accounts SET role = 'customer' WHERE role = 'administrator' AND id <> $1", administrator.id
    )
    assert (await administrator.post(deletions(administrator), reason="Tired")).status == 409
    await make_person("second", role="administrator")


# Being erased


@breaks_by_hand
async def test_nothing_personal_is_left_in_any_table(
    public: Client, administrator: Client, alice: Client, db: asyncpg.Connection
) -> None:
    marvin = await register(
        public,
        "paranoid",
        firstName="Marvinus",
        lastName="Androidopoulos",
        phone="+1 268 460 9876",
        dateOfBirth="1978-03-08",
        city="Milliways",
    )
    traces = [marvin.username, marvin.email, "Androidopoulos", "460 9876", "1978-03-08", "Milliways", "Secret agent"]
    await public.send(
        "POST",
        "/sessions",
        json={"identification": marvin.username, "password": PASSWORD},
        headers={"User-Agent": "Secret agent/1"},
    )
    for path in ("/verifications", "/resets"):
        uri = (await public.post(path, email=marvin.email))["self"]
        await public.send("PATCH", uri, json={"code": "000000", "password": "correct horse"})
    assert (await public.post("/sign-ins", email=marvin.email)).status == 201
    await administrator.post(f"/accounts/{marvin.number}/toggles", reason=f"{marvin.username} asked")
    await administrator.post(f"/accounts/{marvin.number}/toggles", reason=f"{marvin.username} asked")
    session = await public.post("/sessions", identification=marvin.username, password=PASSWORD)
    marvin = dataclasses.replace(marvin, key=session["key"])
    host = await make_host(marvin, contact="Marvinus Androidopoulos", email=marvin.email, phone="+1 268 460 9876")
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(marvin, alice, event, section)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    scanner = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    namesake = {"redeemer": "A. Namesake", "device": "Door", "serials": ["NOSUCH-SERIAL000000"]}
    await scanner.post(f"{event['self']}/admissions", namesake)
    await administrator.post(f"{event['host']['self']}/administrators", account=marvin.number)
    for _ in range(2):
        scan = {"redeemer": "Marvinus ANDROIDOPOULOS", "device": f"Phone of {marvin.username}", "serials": [serial]}
        await marvin.post(f"{event['self']}/admissions", scan)
    ordered = await marvin.send(
        "POST", "/orders", json={"items": {section_uri(event, section): 1}}, headers={"Idempotency-Key": "once"}
    )
    assert ordered.status == 201
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE status = 'Issued'")
    found = await found_in_database(db, traces)
    assert {"accounts", "sessions", "sign_ins", "hosts", "admissions", "refused_scans", "history"} <= set(found)
    for table in ("mails", "codes", "wrong_codes", "idempotency_keys"):
        assert await db.fetchval(f"SELECT count(*) FROM {table}")

    assert (await marvin.delete(f"/accounts/{marvin.number}")).status == 200
    assert await found_in_database(db, traces) == {}
    account = await db.fetchval("SELECT id FROM accounts WHERE number = $1", marvin.number)
    for table in ("mails", "codes", "wrong_codes"):
        assert not await db.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account)
    assert not await db.fetchval(
        "SELECT count(*) FROM idempotency_keys WHERE caller = $1", f"account {account}".encode()
    )

    order = await administrator.get(ordered["self"])
    assert order["customer"] == {
        "self": f"/accounts/{marvin.number}",
        "number": marvin.number,
        "username": "deleted",
        "email": "",
        "firstName": "",
        "lastName": "",
    }
    admission = (await alice.get(f"{event['self']}/admissions"))["entries"][0]
    assert (admission["redeemer"], admission["device"], admission["ticket"]) == ("", "", serial)
    assert (await public.get(host["self"]))["contact"] == ""


async def test_a_name_typed_at_a_gate_stays_when_a_namesake_leaves(
    public: Client, administrator: Client, alice: Client, bob: Client
) -> None:
    marvin = await register(public, firstName="Kofi", lastName="Mensah")
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(bob, alice, event, section)
    (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
    scanner = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
    scan = {"redeemer": "Kofi Mensah", "device": "Main door", "serials": [serial]}
    assert (await scanner.post(f"{event['self']}/admissions", scan)).status == 201
    assert (await marvin.delete(f"/accounts/{marvin.number}")).status == 200
    (admission,) = (await alice.get(f"{event['self']}/admissions", redeemer="Kofi Mensah"))["entries"]
    assert (admission["redeemer"], admission["device"]) == ("Kofi Mensah", "Main door")


async def found_in_database(db: asyncpg.Connection, traces: list[str]) -> dict[str, list[str]]:
    """The tables in which a trace stands, in any case."""
    found = {}
    for row in await db.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
        text = await db.fetchval(f'SELECT lower(string_agg(t::text, chr(10))) FROM "{row[0]}" t') or ""
        if here := [trace for trace in traces if trace.lower() in text or trace.encode().hex() in text]:
            found[row[0]] = here
    return found


async def test_another_of_the_same_name_keeps_what_he_signed(
    public: Client, administrator: Client, alice: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    (serial,) = await hold_tickets(alice, alice, event, section)
    await alice.post(f"{event['self']}/admissions", redeemer="Kofi Annan", device="Gate 1", serials=[serial])
    kofi = await register(public, "kofi", firstName="Kofi", lastName="")
    await kofi.delete(f"/accounts/{kofi.number}")
    (admission,) = (await alice.get(f"{event['self']}/admissions"))["entries"]
    assert (admission["redeemer"], admission["device"]) == ("Kofi Annan", "Gate 1")


async def test_a_freed_name_is_a_new_person(public: Client, administrator: Client) -> None:
    marvin = await register(public)
    await marvin.delete(f"/accounts/{marvin.number}")
    again = await public.post("/accounts", username=marvin.username, email=marvin.email, password=PASSWORD)
    assert again.status == 201
    session = await public.post("/sessions", identification=marvin.username, password=PASSWORD)
    fresh = Client(public.http, session["key"], again["number"])
    assert (await fresh.get(f"/accounts/{fresh.number}/sessions"))["total"] == 1
    assert (await fresh.get(f"/accounts/{marvin.number}")).error == NOT_LOCATED
    assert (await marvin.get("/regions")).body == RESTRICTED
    assert (await administrator.get(f"/accounts/{marvin.number}/orders")).error == NOT_LOCATED


async def test_an_event_without_an_end_keeps_its_holders_for_a_day(
    administrator: Client, alice: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator, start="2034-06-07T20:00", end="")
    section = await make_section(alice, event)
    await list_event(administrator, event)
    annie = await make_person("annie")
    await hold_tickets(annie, alice, event, section)
    start = await db.fetchval("SELECT extract(epoch FROM instant('2034-06-07T20:00-04:00', 'UTC') - clock())::int")
    async with clock_moved(db, start + 23 * 3600):
        assert (await annie.delete(f"/accounts/{annie.number}")).status == 409
    async with clock_moved(db, start + 25 * 3600):
        assert (await annie.delete(f"/accounts/{annie.number}")).status == 200


@pytest.mark.parametrize("first", ["deletion", "payment"])
async def test_money_that_lands_for_somebody_who_left_goes_back(
    first: str, administrator: Client, alice: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=20)
    await list_event(administrator, event)
    annie = await make_person("annie")
    order = await annie.post("/orders", items={section_uri(event, section): 1})
    order_id = await db.fetchval("SELECT id FROM orders WHERE number = $1", order["number"])
    payment = NEW_IDS.new()
    async with db.transaction():
        await open_attempt(db, await lock_order(db, order_id), payment, "sandbox", (), by_administrator=False)
    if first == "deletion":
        assert (await annie.delete(f"/accounts/{annie.number}")).status == 200
    async with db.transaction():
        attempt = await conclude(db, payment, Done(f"charge-{payment}"), NEW_IDS.new)
    assert attempt.state is State.AUTHORISED
    if first == "payment":
        assert (await annie.delete(f"/accounts/{annie.number}")).status == 409
        return
    assert attempt.kept is False
    assert await db.fetchval("SELECT count(*) FROM tickets WHERE owner_id = $1", annie.id) == 0
    back = await db.fetchrow("SELECT whole, amount_cents FROM refunds WHERE order_id = $1", order_id)
    assert tuple(back) == (True, 2099)


# Hosts that would be left with nobody

ALONE = "An account cannot be deleted while it is the only administrator of a host with upcoming events."


async def _runs_a_listed_event(owner: Client, administrator: Client) -> tuple[Any, Any]:
    host = await make_host(owner)
    event = await make_event(owner, administrator, host)
    await make_section(owner, event)
    await list_event(administrator, event)
    return host, event


async def test_who_alone_runs_upcoming_events_cannot_leave(
    make_person: MakePerson, administrator: Client, db: asyncpg.Connection
) -> None:
    owner, colleague = await make_person("owner"), await make_person("colleague")
    host, _event = await _runs_a_listed_event(owner, administrator)
    uri = f"/accounts/{owner.number}"

    async def refusals() -> list[tuple[int, str]]:
        tried = [
            await owner.delete(uri),
            await administrator.delete(uri),
            await owner.post(deletions(owner), reason="x"),
        ]
        return [(answer.status, answer.error) for answer in tried]

    assert await refusals() == [(409, ALONE)] * 3
    assert (await administrator.post(f"{host['self']}/administrators", account=colleague.number)).status == 201
    await db.execute("UPDATE accounts SET activated = false WHERE id = $1", colleague.id)
    assert await refusals() == [(409, ALONE)] * 3
    await db.execute("UPDATE accounts SET activated = true WHERE id = $1", colleague.id)
    assert (await owner.delete(uri)).status == 200
    assert (await colleague.delete(f"/accounts/{colleague.number}")).error == ALONE


@pytest.mark.parametrize(
    "end",
    [
        "status = 'Cancelled'",
        "status = 'Draft'",
        "ends_at = clock() - interval '1 minute'",
        "ends_at = NULL, starts_at = clock() - interval '25 hours'",
        "removed_at = clock()",
    ],
)
async def test_what_is_over_or_was_never_seen_keeps_nobody(
    make_person: MakePerson, administrator: Client, db: asyncpg.Connection, end: str
) -> None:
    owner = await make_person("owner")
    _host, event = await _runs_a_listed_event(owner, administrator)
    await db.execute(f"UPDATE events SET {end} WHERE id = $1", int(event["self"].rsplit("/", 1)[1]))
    assert (await owner.delete(f"/accounts/{owner.number}")).status == 200


async def test_two_who_leave_at_once_do_not_leave_a_host_alone(make_person: MakePerson, administrator: Client) -> None:
    for _ in range(5):
        owners = [await make_person("owner") for _ in range(2)]
        host, _event = await _runs_a_listed_event(owners[0], administrator)
        await administrator.post(f"{host['self']}/administrators", account=owners[1].number)
        answers = await asyncio.gather(*(owner.delete(f"/accounts/{owner.number}") for owner in owners))
        assert sorted(answer.status for answer in answers) == [200, 409]
