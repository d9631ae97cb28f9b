"""The tickets of an order, mailed once more: to the customer alone, as they are now, and not without end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pypdfium2
import pytest

from conftest import SECRET, Client, MakePerson
from mailed import letters
from mailing import FROM, MailServer, Office, mail_server, postman, text_of
from makers import id_of, make_stage, pay, place, section_uri
from ticketing.settings import Settings

BREAKS_BY_HAND = True  # accounts are changed by SQL
NOTHING = "This order has no tickets that could be sent."


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    """Limits are on: three of one order an hour, four of one customer a day."""
    return replace(settings, rate_limits="on", resent_letters=4)


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return await make_stage(alice, administrator)


@pytest.fixture(scope="module")
async def mailbox() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
async def office(database: str, app: Any, mailbox: MailServer) -> AsyncIterator[Office]:
    where = {"mail_host": "localhost", "mail_port": mailbox.port, "mail_security": "none", "mail_from": FROM}
    async with postman(Settings(database_url=database, secret=SECRET, **where)) as made:
        yield made


async def buy(buyer: Client, stage: tuple[dict[str, Any], dict[str, Any]], quantity: int = 1) -> dict[str, Any]:
    return await pay(buyer, await place(buyer, *stage, quantity))


async def test_the_letter_comes_again_to_the_address_of_today(
    stage: Any, make_person: MakePerson, office: Office, mailbox: MailServer, db: asyncpg.Connection
) -> None:
    dora, eve = await make_person("dora"), await make_person("eve")
    order = await buy(dora, stage, 2)
    await office.make_round()
    await db.execute(
        "UPDATE accounts SET email = 'new@example.org', email_key = 'new@example.org' WHERE id = $1", dora.id
    )
    given = await dora.post("/transfers", recipient=eve.number, tickets={section_uri(*stage): 1})
    assert (await eve.post(given["claims"], {})).status == 201
    answer = await dora.post(f"{order['self']}/letters", {"email": "evil@example.net"})
    assert (answer.status, list(answer.body)) == (202, ["message"])
    await office.make_round()
    (message,) = [one for one in mailbox.to("new@example.org") if one["X-Ticketing-Letter"] == "order_fulfilled"]
    assert "is complete" in text_of(message)
    assert order["number"] in text_of(message)
    (printed, _calendar) = message.iter_attachments()
    assert printed.get_filename() == "tickets.pdf"
    (kept,) = (await dora.get(f"/accounts/{dora.number}/tickets"))["entries"]
    pdf = pypdfium2.PdfDocument(printed.get_content())
    (page,) = ["".join(one.get_textpage().get_text_range().split()) for one in pdf]
    assert kept["serial"] in page
    pdf.close()
    assert not mailbox.to("evil@example.net")
    acts = await db.fetch(
        "SELECT account_id FROM history WHERE action = 'order.tickets_sent' AND thing = $1", order["self"]
    )
    assert [act["account_id"] for act in acts] == [dora.id]


async def test_only_the_customer_and_staff_may_ask_and_it_goes_to_the_customer(
    stage: Any, make_person: MakePerson, support: Client, administrator: Client, bob: Client, db: asyncpg.Connection
) -> None:
    fay = await make_person("fay")
    path = f"{(await buy(fay, stage))['self']}/letters"
    before = await letters(db, fay)
    stranger = await bob.post(path, {})
    assert stranger.status == 403
    assert stranger.error == "This account is not permitted to manage orders on behalf of the ordering customer."
    for staff in (support, administrator):
        assert (await staff.post(path, {})).status == 202
        assert await letters(db, staff) == []
    assert await letters(db, fay) == [*before, "order_fulfilled", "order_fulfilled"]
    assert (await fay.post("/orders/000000000000/letters", {})).status == 404


async def test_where_there_is_nothing_to_send_nothing_is_sent(
    stage: Any, make_person: MakePerson, alice: Client, administrator: Client, db: asyncpg.Connection
) -> None:
    gus = await make_person("gus")
    unpaid = await place(gus, *stage)
    refused = await gus.post(f"{unpaid['self']}/letters", {})
    assert (refused.status, refused.error) == (409, NOTHING)
    order = await pay(gus, unpaid)
    sent = await gus.post("/transfers", recipient=alice.number, tickets={section_uri(*stage): 1})
    path = f"{order['self']}/letters"
    assert (await gus.post(path, {})).error == NOTHING
    assert (await gus.delete(sent["self"])).status == 200
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 201
    assert (await gus.post(path, {})).error == NOTHING
    gone = await make_person("gone")
    order = await buy(gone, stage)
    await db.execute("UPDATE accounts SET removed_at = clock() WHERE id = $1", gone.id)
    assert (await administrator.post(f"{order['self']}/letters", {})).error == NOTHING
    assert (await letters(db, gus)).count("order_fulfilled") == 1


async def test_no_letter_box_is_filled(
    stage: Any, make_person: MakePerson, support: Client, db: asyncpg.Connection
) -> None:
    """However many ask at once: three of an order, four to a customer; what was refused uses nothing up."""
    hal, ida = await make_person("hal"), await make_person("ida")
    first, second = await buy(hal, stage), await buy(hal, stage)
    before = len(await letters(db, hal))
    asked = await asyncio.gather(
        *(person.post(f"{first['self']}/letters", {}) for person in (hal, support) for _ in range(5))
    )
    assert sorted(one.status for one in asked) == [202] * 3 + [429] * 7
    refused = next(one for one in asked if one.status == 429)
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    statuses = [(await hal.post(f"{second['self']}/letters", {})).status for _ in range(2)]
    assert statuses == [202, 429]
    last = await support.post(f"{second['self']}/letters", {})
    assert (last.status, int(last.headers["Retry-After"]) > 86_000) == (429, True)
    assert len(await letters(db, hal)) == before + 4
    hers = await buy(ida, stage)
    assert (await ida.post(f"{hers['self']}/letters", {})).status == 202


async def test_a_lost_answer_is_repeated_and_no_second_letter_sent(
    stage: Any, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    jan = await make_person("jan")
    order = await buy(jan, stage)
    before = len(await letters(db, jan))
    once = {"Idempotency-Key": f"again-{id_of(order)}"}
    answers = [await jan.send("POST", f"{order['self']}/letters", json={}, headers=once) for _ in range(2)]
    assert [one.status for one in answers] == [202, 202]
    assert len(await letters(db, jan)) == before + 1
