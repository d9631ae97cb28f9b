"""Handing tickets on: sent, claimed, cancelled, and what becomes of them at the gate."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from conftest import NEW_IDS, Answer, Client, MakePerson
from makers import (
    gate,
    hold_tickets,
    id_of,
    list_event,
    make_event,
    make_section,
    make_stage,
    pay,
    place,
    section_uri,
)
from ticketing.accounts.schemas import ShortAccount
from ticketing.payments.owing import return_batch
from ticketing.transfers.rules import claimant

GENERAL = {"error": "There is presently no resource with the given URI."}
NO_ACCOUNT = "The requested account could not be located"
NOT_FOR_SENDER = "The authenticated user is not permitted to initiate transfers on behalf of the sender."
NOT_ENOUGH = "The sender does not hold sufficient itckets in their wallet to complete this transfer"
TO_THEMSELVES = "The sender cannot transfer tickets to themselves."
NOT_YOURS = "This account is not permitted to manage transfers on behalf of the sender."
NOT_RECIPIENT = "Only a transfer's recipient can claim a transfer."
NOT_CLAIMABLE = "This transfer can no longer be claimed."
NOBODY = "None of the provided ticket serials grants admission to this event"
REQUIRED = "The following arguments are required, but have not been supplied: "
INVALID = "The following arguments have invalid values: "
ALWAYS = "1970-01-01T00:00:00Z"


@dataclass
class Night:
    """A listed event of Alice's with a floor and a balcony, both free."""

    event: dict[str, Any]
    floor: dict[str, Any]
    balcony: dict[str, Any]
    alice: Client
    door: Client

    @property
    def floor_uri(self) -> str:
        return section_uri(self.event, self.floor)

    @property
    def balcony_uri(self) -> str:
        return section_uri(self.event, self.balcony)

    async def on_floor(self, buyer: Client, quantity: int = 1) -> list[str]:
        return await hold_tickets(buyer, self.alice, self.event, self.floor, quantity)

    async def on_balcony(self, buyer: Client, quantity: int = 1) -> list[str]:
        return await hold_tickets(buyer, self.alice, self.event, self.balcony, quantity)

    async def scan(self, *serials: str) -> Answer:
        path = f"{self.event['self']}/admissions"
        return await self.door.post(path, redeemer="Vera", device="Scanner 4", serials=list(serials))


MakeNight = Callable[[], Awaitable[Night]]


@pytest.fixture(scope="module")
def make_night(alice: Client, administrator: Client, public: Client) -> MakeNight:
    async def make() -> Night:
        event = await make_event(alice, administrator)
        floor = await make_section(alice, event, name="Floor", capacity=1000)
        balcony = await make_section(alice, event, name="Balcony", description="Seats", capacity=1000)
        await list_event(administrator, event)
        (token,) = (await alice.get(f"{event['self']}/tokens"))["entries"]
        door = gate(public, (await public.get(f"/tokens/{token['code']}"))["key"])
        return Night(event, floor, balcony, alice, door)

    return make


@pytest.fixture
async def night(make_night: MakeNight) -> Night:
    return await make_night()


@pytest.fixture
async def carol(make_person: MakePerson) -> Client:
    return await make_person("carol")


@pytest.fixture
async def dave(make_person: MakePerson) -> Client:
    return await make_person("dave")


async def send(person: Client, recipient: Client, tickets: dict[str, int], **members: Any) -> dict[str, Any]:
    sent = await person.post("/transfers", recipient=recipient.number, tickets=tickets, **members)
    assert sent.status == 201, sent.body
    transfer: dict[str, Any] = sent.body
    return transfer


async def claim(recipient: Client, transfer: dict[str, Any]) -> None:
    claimed = await recipient.post(transfer["claims"])
    assert claimed.status == 201, claimed.body


async def wallet(person: Client, **filters: Any) -> list[tuple[str, str]]:
    tickets = await person.get(f"/accounts/{person.number}/tickets", records=500, **filters)
    assert tickets.status == 200, tickets.body
    return [(ticket["serial"], ticket["status"]) for ticket in tickets["entries"]]


async def letters(db: asyncpg.Connection, transfer: dict[str, Any]) -> list[tuple[str, int]]:
    rows = await db.fetch(
        "SELECT letter, account_id FROM mails WHERE about->>'transfer' = $1 ORDER BY id", id_of(transfer)
    )
    return [(row["letter"], row["account_id"]) for row in rows]


async def reasons(db: asyncpg.Connection, night: Night) -> list[str]:
    rows = await db.fetch("SELECT reason FROM refused_scans WHERE event_id = $1 ORDER BY id", int(id_of(night.event)))
    return [row["reason"] for row in rows]


def short(person: Client, first_name: str) -> dict[str, str]:
    return {
        "self": f"/accounts/{person.number}",
        "number": person.number,
        "username": person.username,
        "email": person.email,
        "firstName": first_name,
        "lastName": "Tester",
    }


async def test_tickets_are_sent_claimed_and_opened_with(
    night: Night, carol: Client, dave: Client, db: asyncpg.Connection
) -> None:
    first, second, third = await night.on_floor(carol, 3)
    transfer = await send(carol, dave, {night.floor_uri: 2})
    assert transfer == {
        "self": transfer["self"],
        "status": "Pending",
        "initiated": transfer["initiated"],
        "sender": short(carol, "Carol"),
        "recipient": short(dave, "Dave"),
        "tickets": [
            {
                "section": night.floor_uri,
                "name": f"{night.event['title']}: Floor",
                "description": "Standing",
                "quantity": 2,
            }
        ],
        "claims": f"{transfer['self']}/claims",
    }
    assert transfer["self"].startswith("/transfers/")
    assert datetime.fromisoformat(transfer["initiated"]).utcoffset() == timedelta(0)
    assert await wallet(carol) == [(first, "Pending"), (second, "Pending"), (third, "Issued")]
    assert await wallet(carol, status="Held") == await wallet(carol, status="Pending")
    assert await wallet(dave) == []
    assert (await night.scan(first)).error == NOBODY

    claimed = await dave.post(transfer["claims"])
    assert claimed.status == 201
    assert claimed.body == {
        "date": claimed["date"],
        "claimant": f"Dave Tester ({dave.username})",
        "success": True,
    }
    assert datetime.fromisoformat(claimed["date"]).utcoffset() == timedelta(0)
    assert (await carol.get(transfer["self"])).body == transfer | {"status": "Claimed"}
    assert await wallet(carol) == [(third, "Issued")]
    received = await wallet(dave)
    assert [status for _, status in received] == ["Issued", "Issued"]
    assert not {serial for serial, _ in received} & {first, second}
    assert all(serial[:11] == first[:11] for serial, _ in received)
    new = (await dave.get(f"/tickets/{received[0][0]}")).body
    assert (new["owner"], new["issued"]) == (short(dave, "Dave"), claimed["date"])
    former = await carol.get(f"/tickets/{first}")
    assert (former["status"], former["owner"]["number"]) == ("Voided", carol.number)
    assert (await dave.get(f"/tickets/{first}")).status == 403

    admitted = await night.scan(first, received[0][0], second, third)
    assert [(one["ticket"], one["patron"]["number"]) for one in admitted.body] == [
        (received[0][0], dave.number),
        (third, carol.number),
    ]
    assert await reasons(db, night) == ["in transfer", "handed on", "handed on"]
    history = await db.fetch("SELECT action, account_id FROM history WHERE thing = $1 ORDER BY id", transfer["self"])
    assert [tuple(row) for row in history] == [("transfer.initiated", carol.id), ("transfer.claimed", dave.id)]
    assert await letters(db, transfer) == [("transfer_received", dave.id), ("transfer_claimed", carol.id)]


async def test_what_is_pending_is_not_there_to_be_sent_again(night: Night, carol: Client, dave: Client) -> None:
    serials = await night.on_floor(carol, 3)
    await night.scan(serials[0])
    await send(carol, dave, {night.floor_uri: 1})
    assert await wallet(carol, status="Pending") == [(serials[1], "Pending")]
    for quantity in (2, 3, 1_000_000):
        refused = await carol.post("/transfers", recipient=dave.number, tickets={night.floor_uri: quantity})
        assert (refused.status, refused.error) == (400, NOT_ENOUGH)
    # One section short, nothing is sent.
    refused = await carol.post("/transfers", recipient=dave.number, tickets={night.floor_uri: 1, night.balcony_uri: 1})
    assert (refused.status, refused.error) == (400, NOT_ENOUGH)
    await send(carol, dave, {night.floor_uri: 1})
    assert [status for _, status in await wallet(carol)] == ["Redeemed", "Pending", "Pending"]


async def test_tickets_of_several_sections_and_events_travel_together(
    make_night: MakeNight, carol: Client, dave: Client
) -> None:
    first, second = await make_night(), await make_night()
    await first.on_floor(carol, 2)
    await first.on_balcony(carol, 1)
    await second.on_balcony(carol, 3)
    asked = {second.balcony_uri: 2, first.balcony_uri: 1, first.floor_uri: 2}
    transfer = await send(carol, dave, asked)
    assert {sent["section"]: sent["quantity"] for sent in transfer["tickets"]} == asked
    assert [sent["section"] for sent in transfer["tickets"]] == list(asked)
    itinerary = f"/accounts/{dave.number}/events"
    assert (await dave.get(itinerary))["total"] == 0
    await claim(dave, transfer)
    assert len(await wallet(dave)) == 5
    assert {event["self"] for event in (await dave.get(itinerary))["entries"]} == {
        first.event["self"],
        second.event["self"],
    }
    left = (await carol.get(f"/accounts/{carol.number}/events"))["entries"]
    assert [event["self"] for event in left] == [second.event["self"]]


@pytest.mark.parametrize("by", ["carol", "dave", "administrator"])
async def test_either_side_cancels(
    by: str, night: Night, carol: Client, dave: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    who = {"carol": carol, "dave": dave, "administrator": administrator}[by]
    serials = await night.on_floor(carol, 2)
    transfer = await send(carol, dave, {night.floor_uri: 2})
    cancelled = await who.delete(transfer["self"])
    assert (cancelled.status, cancelled.body) == (200, {"message": "The transfer was cancelled."})
    assert await wallet(carol) == [(serial, "Issued") for serial in serials]
    assert (await dave.get(transfer["self"])).body == transfer | {"status": "Cancelled"}
    for canceller in (carol, dave, administrator):
        again = await canceller.delete(transfer["self"])
        assert (again.status, again.error) == (409, "A cancelled transfer cannot be cancelled.")
    late = await dave.post(transfer["claims"])
    assert (late.status, late.error) == (409, NOT_CLAIMABLE)
    assert len((await night.scan(*serials)).body) == 2
    told = {"carol": [dave.id], "dave": [carol.id], "administrator": [carol.id, dave.id]}[by]
    assert await letters(db, transfer) == [
        ("transfer_received", dave.id),
        *(("transfer_cancelled", account) for account in told),
    ]
    assert await db.fetchval(
        "SELECT account_id FROM history WHERE thing = $1 AND action = 'transfer.cancelled'", transfer["self"]
    ) == (who.id)


async def test_the_recipient_alone_claims_and_once(
    night: Night, carol: Client, dave: Client, bob: Client, support: Client, administrator: Client, public: Client
) -> None:
    await night.on_floor(carol)
    transfer = await send(carol, dave, {night.floor_uri: 1})
    others = (carol, bob, support, administrator)
    for other in others:
        refused = await other.post(transfer["claims"])
        assert (refused.status, refused.error) == (403, NOT_RECIPIENT)
    await claim(dave, transfer)
    for other in others:  # who may is told before what can
        assert (await other.post(transfer["claims"])).error == NOT_RECIPIENT
    again = await dave.post(transfer["claims"])
    assert (again.status, again.error) == (409, NOT_CLAIMABLE)
    late = await carol.delete(transfer["self"])
    assert (late.status, late.error) == (409, "A claimed transfer cannot be cancelled.")
    for path in ("/transfers/1", "/transfers/x", f"/transfers/{'9' * 30}"):
        for missing in (await dave.get(path), await dave.delete(path), await dave.post(f"{path}/claims")):
            assert (missing.status, missing.body) == (404, GENERAL)
    restricted = {"message": "You are restricted from accessing this resource."}
    for key in (public, night.door):
        for refused in (
            await key.get("/transfers"),
            await key.get(transfer["self"]),
            await key.delete(transfer["self"]),
            await key.post(transfer["claims"]),
            await key.post("/transfers"),
        ):
            assert (refused.status, refused.body) == (403, restricted)


async def test_who_may_see_and_cancel_a_transfer(
    night: Night, carol: Client, dave: Client, bob: Client, support: Client, administrator: Client
) -> None:
    await night.on_floor(carol)
    transfer = await send(carol, dave, {night.floor_uri: 1})
    for reader in (carol, dave, support, administrator):
        assert (await reader.get(transfer["self"])).body == transfer
    for refused in (
        await bob.get(transfer["self"]),
        await bob.delete(transfer["self"]),
        await support.delete(transfer["self"]),
        await night.alice.get(transfer["self"]),  # who runs the event has no part in it
    ):
        assert (refused.status, refused.error) == (403, NOT_YOURS)
    assert await wallet(carol, status="Pending")


async def test_what_a_transfer_must_say(
    night: Night, make_night: MakeNight, carol: Client, dave: Client, support: Client
) -> None:
    await night.on_floor(carol, 2)
    good = {"recipient": dave.number, "tickets": {night.floor_uri: 1}}
    for body in ({}, {"recipient": "", "tickets": {}}, {"recipient": None, "tickets": []}):
        missing = await carol.post("/transfers", body)
        assert (missing.status, missing.error) == (400, f"{REQUIRED}recipient, tickets.")
    assert (await carol.post("/transfers", recipient=dave.number)).error == f"{REQUIRED}tickets."
    assert (await carol.post("/transfers", tickets=good["tickets"])).error == f"{REQUIRED}recipient."
    for unknown in ("XX-00000000", "nobody", 7, ["a"], dave.number + "\x00", "9" * 5000):
        for body in ({"recipient": unknown}, good | {"recipient": unknown}, good | {"sender": unknown}):
            absent = await carol.post("/transfers", body)
            assert (absent.status, absent.error) == (404, NO_ACCOUNT), body
    for stranger in (dave, support):
        refused = await stranger.post("/transfers", good | {"sender": carol.number, "tickets": {}})
        assert (refused.status, refused.error) == (403, NOT_FOR_SENDER)
    event, other = night.event["self"], (await make_night()).event["self"]
    section = id_of(night.floor)
    for tickets in (
        "text",
        7,
        [night.floor_uri],
        {night.floor_uri: 0},
        {night.floor_uri: -1},
        {night.floor_uri: 1.5},
        {night.floor_uri: "many"},
        {night.floor_uri: True},
        {night.floor_uri: None},
        {night.floor_uri: 10**30},
        {section: 1},
        {night.floor["self"]: 1},
        {f"{event}/sections/1": 1},
        {f"{event}/sections/x": 1},
        {f"{other}/sections/{section}": 1},
        {f"/events/1/sections/{section}": 1},
        {night.floor_uri: 1, f"{event}/sections/0{section}": 1},
        {night.floor_uri: 1, "/events/☃/sections/٣": 1},
        {f"{night.floor_uri}{n}": 1 for n in range(101)},
    ):
        invalid = await carol.post("/transfers", good | {"tickets": tickets})
        assert (invalid.status, invalid.error) == (400, f"{INVALID}tickets."), tickets
    assert [status for _, status in await wallet(carol)] == ["Issued", "Issued"]
    # Any case, and names as they are written.
    lower = await carol.post("/transfers", good | {"recipient": dave.number.lower(), "sender": carol.number.lower()})
    assert lower.status == 201
    assert lower["recipient"]["number"] == dave.number
    text = await carol.post("/transfers", good | {"sender": "", "tickets": {night.floor_uri: "1"}})
    assert text.status == 201


async def test_nobody_sends_to_himself(night: Night, carol: Client, administrator: Client) -> None:
    itself = {"recipient": carol.number, "tickets": {night.floor_uri: 1}}
    refused = await carol.post("/transfers", itself)
    assert (refused.status, refused.error) == (400, NOT_ENOUGH)
    await night.on_floor(carol)
    for sender, body in ((carol, itself), (administrator, itself | {"sender": carol.number})):
        refused = await sender.post("/transfers", body)
        assert (refused.status, refused.error) == (409, TO_THEMSELVES)
    assert [status for _, status in await wallet(carol)] == ["Issued"]


async def test_an_administrator_sends_on_behalf(
    night: Night, carol: Client, dave: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    await night.on_floor(carol)
    transfer = await send(administrator, dave, {night.floor_uri: 1}, sender=carol.number)
    assert transfer["sender"]["number"] == carol.number
    assert await db.fetchval("SELECT account_id FROM history WHERE thing = $1", transfer["self"]) == administrator.id
    await claim(dave, transfer)
    assert await letters(db, transfer) == [("transfer_received", dave.id), ("transfer_claimed", carol.id)]


async def test_a_ticket_may_travel_on_and_come_back(
    night: Night, carol: Client, dave: Client, bob: Client, db: asyncpg.Connection
) -> None:
    (first,) = await night.on_floor(carol)
    serials = [first]
    for giver, taker in ((carol, dave), (dave, bob), (bob, carol)):
        await claim(taker, await send(giver, taker, {night.floor_uri: 1}))
        ((serial, _),) = await wallet(taker, event=id_of(night.event))
        serials.append(serial)
    assert len(set(serials)) == 4
    assert [one["ticket"] for one in (await night.scan(*serials)).body] == [serials[-1]]
    assert await reasons(db, night) == ["handed on"] * 3


async def test_both_sides_find_their_transfers(
    make_night: MakeNight, carol: Client, dave: Client, bob: Client, support: Client, administrator: Client
) -> None:
    night = await make_night()
    await night.on_floor(carol, 3)
    await night.on_floor(dave, 1)
    claimed = await send(carol, dave, {night.floor_uri: 1})
    cancelled = await send(carol, dave, {night.floor_uri: 1})
    pending = await send(carol, bob, {night.floor_uri: 1})
    back = await send(dave, carol, {night.floor_uri: 1})
    await claim(dave, claimed)
    await carol.delete(cancelled["self"])

    async def found(reader: Client, path: str, **filters: Any) -> list[str]:
        answer = await reader.get(path, **filters)
        assert answer.status == 200, answer.body
        assert answer["total"] == len(answer["entries"])
        return [one["self"] for one in answer["entries"]]

    sent, every = [one["self"] for one in (claimed, cancelled, pending)], "/transfers"
    history = f"/accounts/{carol.number}/transfers"
    for reader in (carol, support, administrator):
        assert await found(reader, history, role="sender") == sent
        assert await found(reader, history, role="sender", order="desc") == sent[::-1]
        assert await found(reader, history, role="recipient") == [back["self"]]
        assert await found(reader, history, role="sender", status="Claimed") == [claimed["self"]]
        assert await found(reader, history, role="recipient", status="Cancelled") == []
    assert (await carol.get(history, role="sender", status="Pending"))["entries"] == [pending]
    assert await found(dave, f"/accounts/{dave.number}/transfers", role="recipient") == sent[:2]
    assert await found(carol, every) == [*sent, back["self"]]
    assert await found(carol, every, role="sender", status="Cancelled") == [cancelled["self"]]
    assert await found(dave, every, role="sender") == [back["self"]]
    for staff in (support, administrator):
        assert {*sent, back["self"]} <= set(await found(staff, every, records=500))
        assert await found(staff, every, role="sender") == []

    for stranger in (dave, bob):
        refused = await stranger.get(history)
        assert (refused.status, refused.error) == (403, "You are not authorised to access or modify this account.")
    absent = await support.get("/accounts/XX-00000000/transfers")
    assert (absent.status, absent.error) == (404, NO_ACCOUNT)
    for filters in ({}, {"role": ""}, {"status": "Pending"}):
        missing = await carol.get(history, **filters)
        assert (missing.status, missing.error) == (400, f"{REQUIRED}role.")
    invalid = await carol.get(history, role="giver", status="Held")
    assert (invalid.status, invalid.error) == (400, f"{INVALID}role, status.")
    for path in (history, every):
        refused = await carol.get(path, role="sender", claimant="x")
        assert refused.error == "The collection does not support the following filters: claimant."
        refused = await carol.get(path, role="sender", sort="date")
        assert refused.error == "The collection cannot be sorted by date."


async def test_a_syncing_gate_learns_that_a_serial_is_worth_nothing_any_more(
    night: Night, carol: Client, dave: Client
) -> None:
    path = f"{night.event['self']}/tickets"
    kept, given = sorted(await night.on_floor(carol, 2)), {}

    async def told(since: str) -> dict[str, tuple[str, str]]:
        answer = await night.door.get(path, modified_since=since, records=500)
        assert answer.status == 200, answer.body
        return {one["serial"]: (one["status"], one["owner"]["number"]) for one in answer["entries"]}

    transfer = await send(carol, dave, {night.floor_uri: 1})
    cursor = (await night.door.get(path, modified_since=ALWAYS))["cursor"]
    given = {serial: status for serial, status in await wallet(carol) if status == "Pending"}
    assert [one["serial"] for one in (await night.door.get(path))["entries"]] == [s for s in kept if s not in given]
    await claim(dave, transfer)
    ((new, _),) = await wallet(dave)
    changes = await told(cursor)
    (old,) = given
    assert changes[old] == ("Voided", carol.number)
    assert changes[new] == ("Issued", dave.number)
    assert len(await told(ALWAYS)) == 3
    assert {one["serial"] for one in (await night.door.get(path))["entries"]} == {*kept, new} - {old}
    first = await night.door.get(path, modified_since=ALWAYS, records=2)
    second = await night.door.get(path, modified_since=ALWAYS, records=2, page=2)
    assert {one["serial"] for page in (first, second) for one in page["entries"]} == {*kept, new}


async def test_a_removed_section_ends_what_was_sent_with_its_tickets(
    make_night: MakeNight, carol: Client, dave: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    night = await make_night()
    (above,) = await night.on_balcony(carol)
    below = await night.on_floor(carol, 3)
    both = await send(carol, dave, {night.balcony_uri: 1, night.floor_uri: 1})
    apart = await send(carol, dave, {night.floor_uri: 1})
    assert (await administrator.delete(night.balcony_uri)).status == 200
    assert (await carol.get(both["self"])).body == both | {"status": "Cancelled"}
    assert (await carol.get(apart["self"]))["status"] == "Pending"
    assert await wallet(carol) == [
        (above, "Voided"),
        (below[0], "Issued"),
        (below[1], "Pending"),
        (below[2], "Issued"),
    ]
    late = await dave.post(both["claims"])
    assert (late.status, late.error) == (409, NOT_CLAIMABLE)
    assert await letters(db, both) == [
        ("transfer_received", dave.id),
        ("transfer_cancelled", carol.id),
        ("transfer_cancelled", dave.id),
    ]
    refused = await carol.post("/transfers", recipient=dave.number, tickets={night.balcony_uri: 1})
    assert (refused.status, refused.error) == (400, f"{INVALID}tickets.")


async def test_what_is_refunded_is_void_wherever_it_is(
    alice: Client, carol: Client, dave: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    event, section = await make_stage(alice, administrator)
    uri = section_uri(event, section)
    first = await pay(carol, await place(carol, event, section, 3))
    await pay(carol, await place(carol, event, section))
    serials = [serial for serial, _ in await wallet(carol)]
    await claim(dave, await send(carol, dave, {uri: 1}))
    sent = await send(carol, dave, {uri: 3})
    refund = await administrator.post(first["refunds"], reason="The customer fell ill.")
    assert (refund.status, refund["amount"]) == (201, 62.97)  # all that was paid, to the customer
    assert (await carol.get(sent["self"]))["status"] == "Cancelled"
    assert await wallet(carol) == [(serials[1], "Voided"), (serials[2], "Voided"), (serials[3], "Issued")]
    assert [status for _, status in await wallet(dave)] == ["Voided"]
    assert (await carol.get(uri))["sold"] == 1
    told = [("transfer_cancelled", carol.id), ("transfer_cancelled", dave.id)]
    assert (await letters(db, sent))[1:] == told


async def test_a_cancelled_event_ends_what_was_sent_with_its_tickets(
    make_night: MakeNight, carol: Client, dave: Client, db: asyncpg.Connection
) -> None:
    off, on = await make_night(), await make_night()
    (void,), (good,) = await off.on_floor(carol), await on.on_floor(carol)
    both = await send(carol, dave, {off.floor_uri: 1, on.floor_uri: 1})
    assert (await off.alice.post(f"{off.event['self']}/cancellations", reason="rain")).status == 200
    async with db.transaction():
        await return_batch(db, int(id_of(off.floor)), 0)
    assert (await carol.get(both["self"]))["status"] == "Cancelled"
    assert await wallet(carol) == [(void, "Voided"), (good, "Issued")]
    assert (await dave.post(both["claims"])).error == NOT_CLAIMABLE


async def test_who_is_deleted_neither_sends_nor_receives_any_more(
    make_night: MakeNight, carol: Client, dave: Client, bob: Client, db: asyncpg.Connection
) -> None:
    night = await make_night()
    serials = await night.on_floor(carol, 2)
    received = await send(carol, dave, {night.floor_uri: 1})
    assert (await dave.delete(f"/accounts/{dave.number}")).status == 200
    gone = (await carol.get(received["self"])).body
    assert gone["status"] == "Cancelled"
    assert (gone["recipient"]["number"], gone["recipient"]["email"]) == (dave.number, "")
    assert await wallet(carol) == [(serial, "Issued") for serial in serials]
    assert ("transfer_cancelled", carol.id) in await letters(db, received)
    assert ("transfer_cancelled", dave.id) not in await letters(db, received)
    absent = await carol.post("/transfers", recipient=dave.number, tickets={night.floor_uri: 1})
    assert (absent.status, absent.error) == (404, NO_ACCOUNT)

    sent = await send(carol, bob, {night.floor_uri: 2})
    refused = await carol.delete(f"/accounts/{carol.number}")  # what is Pending is still hers
    assert refused.error == "An account cannot be deleted while it holds tickets to upcoming events."
    await db.execute("UPDATE events SET ends_at = clock() WHERE id = $1", int(id_of(night.event)))
    assert (await carol.delete(f"/accounts/{carol.number}")).status == 200
    late = await bob.post(sent["claims"])
    assert (late.status, late.error) == (409, NOT_CLAIMABLE)
    assert (await bob.get(sent["self"]))["status"] == "Cancelled"


async def test_a_lost_answer_is_repeated_and_nothing_is_sent_twice(night: Night, carol: Client, dave: Client) -> None:
    await night.on_floor(carol, 2)
    body = {"recipient": dave.number, "tickets": {night.floor_uri: 1}}
    key = {"Idempotency-Key": f"send-{NEW_IDS.new()}"}
    first = await carol.send("POST", "/transfers", json=body, headers=key)
    again = await carol.send("POST", "/transfers", json=body, headers=key)
    assert (again.status, again.body) == (201, first.body)
    assert len(await wallet(carol, status="Pending")) == 1
    claims = {"Idempotency-Key": f"claim-{NEW_IDS.new()}"}
    claimed = await dave.send("POST", first["claims"], json={}, headers=claims)
    again = await dave.send("POST", first["claims"], json={}, headers=claims)
    assert (again.status, again.body) == (201, claimed.body)


async def test_sending_costs_the_same_statements_however_many_tickets(
    night: Night, carol: Client, dave: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await night.on_floor(carol, 50)
    await night.on_balcony(carol, 1)
    statements: list[str] = []
    bare = {name: getattr(asyncpg.Connection, name) for name in ("fetch", "fetchrow", "fetchval", "execute")}

    def counting(name: str) -> Any:
        async def call(self: Any, query: str, *arguments: Any, **details: Any) -> Any:
            if query != "SELECT":  # the process asks whether the database is there
                statements.append(query)
            return await bare[name](self, query, *arguments, **details)

        return call

    assert (await carol.get("/transfers")).status == (await dave.get("/transfers")).status == 200
    for name in bare:
        monkeypatch.setattr(asyncpg.Connection, name, counting(name))
    costs = []
    for tickets in ({night.balcony_uri: 1}, {night.floor_uri: 50}):
        statements.clear()
        transfer = await send(carol, dave, tickets)
        sending = len(statements)
        statements.clear()
        await claim(dave, transfer)
        costs.append((sending, len(statements)))
    assert costs[0] == costs[1]
    assert costs[0][0] <= 16
    assert costs[0][1] <= 12


async def test_more_than_a_thousand_tickets_are_two_transfers(
    night: Night, carol: Client, dave: Client, db: asyncpg.Connection
) -> None:
    ids = [NEW_IDS.new() for _ in range(1001)]
    await db.execute(
        "INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, changed_at)"
        " SELECT id, id::text, 1, $2, $3, $4, 'Issued', clock(), clock() FROM unnest($1::bigint[]) AS new (id)",
        ids,
        int(id_of(night.event)),
        int(id_of(night.floor)),
        carol.id,
    )
    refused = await carol.post("/transfers", recipient=dave.number, tickets={night.floor_uri: 1001})
    assert (refused.status, refused.error) == (400, f"{INVALID}tickets.")
    await claim(dave, await send(carol, dave, {night.floor_uri: 1000}))
    assert await db.fetchval("SELECT count(*) FROM tickets WHERE owner_id = $1 AND status = 'Issued'", dave.id) == 1000
    await db.execute("DELETE FROM tickets WHERE id = ANY($1::bigint[])", ids)


def test_a_claimant_without_names_is_told_by_the_username() -> None:
    nameless = ShortAccount("/accounts/MO-1", "MO-1", "moe", "moe@example.com", "", "")
    assert claimant(nameless) == "(moe)"
    nameless.first_name = "Maurice"
    assert claimant(nameless) == "Maurice (moe)"
