"""Sections: the parts of an event for which tickets are sold."""

from typing import Any

import asyncpg
import pytest

from conftest import NEW_IDS, Client, breaks_by_hand
from makers import id_of, list_event, make_event, make_section, section_uri

GENERAL = {"error": "There is presently no resource with the given URI."}
STRANGER = "This account is not an administrator for the relevant event host."
UNLISTED = "You are not authorised to access this unlisted event."

BACKSTAGE = {
    "name": "Backstage",
    "description": "Meet the cast",
    "basePrice": 75,
    "salesStart": "2024-01-01T00:00",
    "salesEnd": "2033-06-07T19:00",
    "capacity": 10,
}


async def test_a_host_adds_a_section_and_everybody_sees_it_in_the_event(
    administrator: Client, alice: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    added = await alice.post(f"{event['self']}/sections", BACKSTAGE)
    assert added.status == 201
    assert added.body == {
        "self": added["self"],
        "name": "Backstage",
        "description": "Meet the cast",
        "price": {"base": 75, "current": 75, "expires": ""},
        "salesStart": "2024-01-01T00:00",
        "salesEnd": "2033-06-07T19:00",
        "active": True,
        "capacity": 10,
        "sold": 0,
        "remaining": 10,
        "reserved": 0,
        "fees": 1.99,
        "uri": f"{event['self']}{added['self']}",
    }
    assert added["self"].startswith("/sections/")
    await make_section(alice, event, name="Balcony", active=False)
    listed = await list_event(administrator, event)
    assert [section["name"] for section in listed["sections"]] == ["Backstage", "Balcony"]
    assert (await public.get(event["self"]))["sections"] == listed["sections"]
    page = await public.get(f"{event['self']}/sections")
    assert page.body == {"page": 1, "records": 25, "total": 2, "entries": listed["sections"]}
    assert (await public.get(section_uri(event, added.body))).body == added.body
    assert (await public.get(f"{event['self']}/sections", active="false"))["total"] == 1


async def test_a_section_says_what_is_missing_or_wrong(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    sections = f"{event['self']}/sections"
    missing = await alice.post(sections, active=True, basePrice="")
    assert missing.error == (
        "The following arguments are required, but have not been supplied:"
        " name, description, basePrice, salesStart, salesEnd, capacity."
    )
    wrong = {
        "name": 7,
        "description": ["x"],
        "basePrice": "many",
        "salesStart": "tomorrow",
        "salesEnd": "2034-13-01T00:00",
        "capacity": 1.5,
        "active": "maybe",
    }
    assert (await alice.post(sections, wrong)).error == (
        "The following arguments have invalid values:"
        " name, description, basePrice, salesStart, salesEnd, capacity, active."
    )
    backwards = BACKSTAGE | {"salesStart": "2033-01-01T00:00+00:00", "salesEnd": "2032-12-31T19:59"}
    assert (await alice.post(sections, backwards)).error == "The following arguments have invalid values: salesEnd."
    # Four hours behind UTC, so that is an hour later.
    forwards = BACKSTAGE | {"salesStart": "2033-01-01T00:00+00:00", "salesEnd": "2032-12-31T21:00"}
    assert (await alice.post(sections, forwards)).status == 201


@pytest.mark.parametrize(
    "text", ["٣", "1_0", " 5", "0x5", "1e2", "+5", "NaN", "Infinity", "5.", ".5", "--5", "9" * 400]
)
async def test_a_number_as_text_is_written_with_digits(administrator: Client, alice: Client, text: str) -> None:
    event = await make_event(alice, administrator)
    refused = await alice.post(f"{event['self']}/sections", BACKSTAGE | {"basePrice": text, "capacity": text})
    assert refused.error == "The following arguments have invalid values: basePrice, capacity."
    taken = await alice.post(f"{event['self']}/sections", BACKSTAGE | {"basePrice": "12.50", "capacity": "7"})
    assert (taken["price"]["base"], taken["capacity"]) == (12.5, 7)


async def test_a_name_belongs_to_one_section_of_the_event(administrator: Client, alice: Client) -> None:
    event, other = await make_event(alice, administrator), await make_event(alice, administrator)
    await alice.post(f"{event['self']}/sections", BACKSTAGE)
    refused = await alice.post(f"{event['self']}/sections", name="BACKSTAGE")
    assert (refused.status, refused.error) == (
        409,
        "The following arguments conflict with those of another section: name.",
    )
    assert (await alice.post(f"{other['self']}/sections", BACKSTAGE)).status == 201
    second = await make_section(alice, event)
    renamed = await alice.put(section_uri(event, second), BACKSTAGE)
    assert renamed.status == 409


async def test_a_client_sends_back_what_it_got(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=20)
    section["price"]["base"] = 0
    section["capacity"] = 6
    saved = await alice.put(section_uri(event, section), section)
    assert saved.status == 200
    assert saved["price"] == {"base": 0, "current": 0, "expires": ""}
    assert (saved["capacity"], saved["remaining"], saved["fees"]) == (6, 6, 0)
    del section["price"]
    refused = await alice.put(section_uri(event, section), section)
    assert refused.error == "The following arguments are required, but have not been supplied: basePrice."
    refused = await alice.put(section_uri(event, section), section | {"price": {"base": "free"}})
    assert refused.error == "The following arguments have invalid values: basePrice."


async def test_put_keeps_whether_a_section_is_active(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, name="Backstage", active=False)
    assert (await alice.put(section_uri(event, section), BACKSTAGE))["active"] is False
    assert (await alice.put(section_uri(event, section), BACKSTAGE | {"active": None}))["active"] is True


async def sell(
    db: asyncpg.Connection, event: dict[str, Any], section: dict[str, Any], buyer: Client, **facts: Any
) -> int:
    """An order of two places: fulfilled with its tickets, or (`held` gives seconds) waiting for payment."""
    order, item = NEW_IDS.new(), NEW_IDS.new()
    held, cents = facts.get("held"), facts.get("cents", 0)
    more = facts.get("also", [])
    until = "NULL" if held is None else f"clock() + interval '{held} seconds'"
    await db.execute(
        "INSERT INTO orders (id, number, customer_id, status, placed_at, held_until, subtotal_cents, fees_cents,"
        f" currency) VALUES ($1, $1::bigint::text, $2, $3, clock(), {until}, $4, 0, 'USD')",
        order,
        buyer.id,
        "Fulfilled" if held is None else "Placed",
        cents * 2 * (1 + len(more)),
    )
    for one in [section, *more]:
        item = NEW_IDS.new()
        await db.execute(
            "INSERT INTO order_items (id, order_id, event_id, section_id, number, quantity, price_cents, fee_cents,"
            f" held_until) VALUES ($1, $2, $3, $4, gen_random_uuid(), 2, $5, 0, {until})",
            item,
            order,
            int(id_of(event)),
            int(id_of(one)),
            cents,
        )
        column = "sold" if held is None else "held"
        await db.execute(f"UPDATE sections SET {column} = {column} + 2 WHERE id = $1", int(id_of(one)))
        for _ in range(2 if held is None else 0):
            ticket = NEW_IDS.new()
            await db.execute(
                "INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at,"
                " changed_at) VALUES ($1, $1::bigint::text, $2, $3, $4, $5, 'Issued', clock(), clock())",
                ticket,
                item,
                int(id_of(event)),
                int(id_of(one)),
                buyer.id,
            )
    return order


async def order_status(db: asyncpg.Connection, order: int) -> str:
    return str(await db.fetchval("SELECT status FROM orders WHERE id = $1", order))


async def ticket_statuses(db: asyncpg.Connection, order: int) -> list[str]:
    rows = await db.fetch(
        "SELECT ticket.status FROM tickets ticket JOIN order_items item ON item.id = ticket.item_id"
        " WHERE item.order_id = $1 ORDER BY ticket.id",
        order,
    )
    return [row["status"] for row in rows]


def counts(section: dict[str, Any]) -> tuple[int, int, int]:
    return section["sold"], section["reserved"], section["remaining"]


@breaks_by_hand
async def test_holds_count_as_reserved_until_the_instant_they_are_due(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await sell(db, event, section, bob)
    await sell(db, event, section, bob, held=900, cents=100)
    await sell(db, event, section, bob, held=-1, cents=100)
    assert counts((await alice.get(section_uri(event, section))).body) == (2, 2, 6)
    shown = (await alice.get(event["self"])).body
    assert counts(shown["sections"][0]) == (2, 2, 6)
    assert shown["popularity"] == 2


@breaks_by_hand
async def test_capacity_stays_above_what_is_sold_or_reserved(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, name="Backstage")
    await sell(db, event, section, bob)
    await sell(db, event, section, bob, held=900)
    await sell(db, event, section, bob, held=-1)
    refused = await alice.put(section_uri(event, section), BACKSTAGE | {"capacity": 3})
    assert (refused.status, refused.error) == (
        409,
        "The capacity cannot be lower than the number of tickets already sold or reserved.",
    )
    saved = await alice.put(section_uri(event, section), BACKSTAGE | {"capacity": 4})
    assert counts(saved.body) == (2, 2, 0)


@breaks_by_hand
async def test_a_removed_section_voids_its_tickets_and_free_orders(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    floor, balcony = await make_section(alice, event), await make_section(alice, event)
    only, both = await sell(db, event, floor, bob), await sell(db, event, floor, bob, also=[balcony])
    assert (await alice.delete(section_uri(event, floor))).body == {"message": "The section was removed."}
    assert [section["self"] for section in (await alice.get(event["self"]))["sections"]] == [balcony["self"]]
    assert (await alice.get(section_uri(event, floor))).body == GENERAL
    assert (await order_status(db, only), await ticket_statuses(db, only)) == ("Voided", ["Voided"] * 2)
    assert await order_status(db, both) == "Fulfilled"
    assert await ticket_statuses(db, both) == ["Voided", "Voided", "Issued", "Issued"]
    returned = await db.fetch("SELECT returned_at FROM order_items WHERE order_id = $1 ORDER BY id", both)
    assert [row["returned_at"] is not None for row in returned] == [True, False]
    assert (await alice.get(event["self"]))["popularity"] == 2
    assert (await make_section(alice, event, name=floor["name"]))["sold"] == 0


async def test_a_removed_section_ends_the_orders_that_hold_places_in_it(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event, elsewhere = await make_event(alice, administrator), await make_event(alice, administrator)
    floor, balcony = await make_section(alice, event), await make_section(alice, elsewhere)
    open_order = await sell(db, event, floor, bob, held=900, cents=500, also=[balcony])
    due = await sell(db, event, floor, bob, held=-1, cents=500)
    assert counts((await alice.get(section_uri(elsewhere, balcony))).body) == (0, 2, 8)
    assert (await alice.delete(section_uri(event, floor))).status == 200
    assert counts((await alice.get(section_uri(elsewhere, balcony))).body) == (0, 0, 10)
    assert (await order_status(db, open_order), await order_status(db, due)) == ("Cancelled", "Timed Out")


@breaks_by_hand
async def test_only_administrators_remove_a_section_somebody_paid_for(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event, basePrice=5)
    order = await sell(db, event, section, bob, cents=500)
    refused = await alice.delete(section_uri(event, section))
    assert (refused.status, refused.error) == (409, "A section cannot be deleted while it has paid tickets.")
    assert (await administrator.delete(section_uri(event, section))).status == 200
    assert await ticket_statuses(db, order) == ["Voided"] * 2
    # Its money has yet to go back.
    assert await order_status(db, order) == "Fulfilled"


async def test_a_removed_section_leaves_the_gate_tokens(
    administrator: Client, alice: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    floor, balcony = await make_section(alice, event), await make_section(alice, event)
    uris = [section_uri(event, floor), section_uri(event, balcony)]
    token = await alice.post(f"{event['self']}/tokens", sections=uris)
    await alice.delete(uris[0])
    assert (await alice.get(token["self"]))["sections"] == [uris[1]]
    tokens = await alice.get(f"{event['self']}/tokens")
    assert [entry["sections"] for entry in tokens["entries"]] == [[uris[1]], [uris[1]]]


async def test_only_who_runs_the_event_writes_sections(administrator: Client, alice: Client, bob: Client) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    uri = section_uri(event, section)
    for refused in (
        await bob.post(f"{event['self']}/sections", {}),
        await bob.put(uri, {}),
        await bob.delete(uri),
    ):
        assert (refused.status, refused.error) == (403, STRANGER)
    for refused in (await bob.get(uri), await bob.get(f"{event['self']}/sections")):
        assert (refused.status, refused.error) == (403, UNLISTED)


async def test_what_is_no_section_is_not_found(administrator: Client, alice: Client) -> None:
    event, other = await make_event(alice, administrator), await make_event(alice, administrator)
    section = await make_section(alice, other)
    for segment in ("1", "undefined", "%00", "9" * 40, id_of(section)):
        uri = f"{event['self']}/sections/{segment}"
        for answer in (await alice.get(uri), await alice.put(uri, BACKSTAGE), await alice.delete(uri)):
            assert (answer.status, answer.body) == (404, GENERAL)
    assert (await alice.get("/events/1/sections")).body == GENERAL
