"""Paying for orders: what a customer, and who may act for one, sees."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import structlog
from structlog.testing import LogCapture

from conftest import Client, clock_moved
from makers import AUTHORISED, DECLINED, PAYER, card, make_stage, pay, place, section_uri
from money import TIMEOUT_AFTER, charges, count_open, faults, impatient, settle_all, unbalanced, worker_services
from ticketing.payments import asking, routes, settling
from ticketing.payments.attempts import conclude
from ticketing.payments.providers import Card
from ticketing.payments.providers.sandbox import Sandbox
from ticketing.settings import Settings
from ticketing.web.operations import Services

MISSING = "The following arguments are required, but have not been supplied"
NOT_THE_CUSTOMER = "This account is not permitted to manage orders on behalf of the ordering customer."
GENERAL = {"error": "There is presently no resource with the given URI."}
INSUFFICIENT_FUNDS, PROVIDER_ERROR = "4000000000009995", "4000000000000119"


@pytest.fixture(scope="module")
async def services(settings: Settings, app: Any) -> AsyncIterator[Services]:
    async with worker_services(settings) as services:
        with impatient():
            yield services


@pytest.fixture(autouse=True)
async def the_books(db: asyncpg.Connection, services: Services) -> AsyncIterator[None]:
    """After every story nothing is open, and the books are in order."""
    yield
    async with clock_moved(db, 1_000_000):
        assert (await count_open(db), await faults(db), await unbalanced(db)) == (0, [], [])


@pytest.fixture(scope="module")
async def stage(alice: Client, administrator: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    return await make_stage(alice, administrator, capacity=1000)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status, answer.error


async def test_a_paid_order_is_fulfilled_and_its_tickets_are_in_the_wallet(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    event, section = stage
    order = await place(bob, event, section, 3)
    assert (order["status"], order["total"]) == ("Placed", 62.97)
    paid = await bob.post(order["payments"], card())
    assert paid.status == 201
    assert paid.body == {"date": paid["date"], "amount": 62.97, "status": "Authorised"}
    fulfilled = await bob.get(order["self"])
    assert (fulfilled["status"], fulfilled["expires"]) == ("Fulfilled", "")
    wallet = await bob.get(f"/accounts/{bob.number}/tickets", section=section["self"].rsplit("/", 1)[1])
    assert [ticket["status"] for ticket in wallet["entries"]] == ["Issued"] * 3
    shown = (await bob.get(section_uri(event, section))).body
    assert (shown["sold"], shown["reserved"]) == (3, 0)
    listed = await bob.get(order["payments"])
    assert (listed["total"], listed["entries"]) == (1, [paid.body])
    letters = await db.fetch("SELECT account_id, about FROM mails WHERE letter = 'order_fulfilled'")
    assert [row["account_id"] for row in letters] == [bob.id]


async def test_a_declined_order_waits_on_and_can_be_paid_with_another_card(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    for number, code in ((DECLINED, "incorrect_number"), (INSUFFICIENT_FUNDS, "insufficient_funds")):
        declined = await bob.post(order["payments"], card(number))
        assert (declined.status, declined["status"], declined["code"]) == (201, "Declined", code)
        waiting = (await bob.get(order["self"])).body
        assert waiting == order
    await pay(bob, order)
    listed = await bob.get(order["payments"], order="desc")
    assert [entry["status"] for entry in listed["entries"]] == ["Authorised", "Declined", "Declined"]
    assert (await bob.get(order["payments"], status="Declined"))["total"] == 2


async def test_a_fault_of_the_provider_takes_nothing_and_can_be_tried_again(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    failed = await bob.post(order["payments"], card(PROVIDER_ERROR))
    assert (failed.status, failed["status"]) == (201, "Declined")
    await pay(bob, order)


async def test_a_token_of_the_provider_stands_for_a_card(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    declined = await bob.post(order["payments"], {"token": "tok_declined", **PAYER})
    assert (declined.status, declined["status"]) == (201, "Declined")
    paid = await bob.post(order["payments"], {"token": "tok_visa", **PAYER})
    assert (paid.status, paid["status"]) == (201, "Authorised")


async def test_only_what_waits_for_payment_can_be_paid(
    alice: Client, bob: Client, administrator: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await pay(bob, await place(bob, *stage))
    assert refused(await bob.post(order["payments"], card())) == (409, "You cannot pay for a Fulfilled order.")
    cancelled = await place(bob, *stage)
    await bob.delete(cancelled["self"])
    assert refused(await bob.post(cancelled["payments"], card())) == (409, "You cannot pay for a Cancelled order.")
    assert (await administrator.post(order["refunds"], reason="Ill")).status == 201
    assert refused(await bob.post(order["payments"], card())) == (409, "You cannot pay for a Refunded order.")
    free = await place(bob, *await make_stage(alice, administrator, price=0))
    assert refused(await bob.post(free["payments"], card())) == (409, "You cannot pay for a Fulfilled order.")


async def test_an_administrator_pays_for_somebody_and_support_only_looks(
    alice: Client, bob: Client, support: Client, administrator: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    for stranger in (alice, support):
        assert refused(await stranger.post(order["payments"], card())) == (403, NOT_THE_CUSTOMER)
    assert refused(await alice.get(order["payments"])) == (403, NOT_THE_CUSTOMER)
    assert (await administrator.post(order["payments"], card())).status == 201
    assert (await support.get(order["payments"]))["total"] == 1
    for nobodys in ("/orders/FFFFFFFFFFFF", "/orders/%00", "/orders/1"):
        for answer in (await bob.post(f"{nobodys}/payments", card()), await bob.get(f"{nobodys}/payments")):
            assert (answer.status, answer.body) == (404, GENERAL)


async def test_who_may_is_told_before_what_is_wrong_and_that_before_the_state(
    alice: Client, bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await pay(bob, await place(bob, *stage))
    assert refused(await alice.post(order["payments"], {})) == (403, NOT_THE_CUSTOMER)
    required = "number, cvv, expiryDate, name, email, phone, address1, city, district, country"
    assert refused(await bob.post(order["payments"], {})) == (
        400,
        f"The following arguments are required, but have not been supplied: {required}.",
    )
    assert refused(await bob.post(order["payments"], card(AUTHORISED, cvv="x"))) == (
        400,
        "The following arguments have invalid values: cvv.",
    )


async def test_a_lost_answer_is_repeated_without_paying_twice(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    first = await keyed(bob, order, card(DECLINED), "first")
    assert (first.status, first["status"]) == (201, "Declined")
    paid = await keyed(bob, order, card(), "second")
    replayed = await keyed(bob, order, card(cvv="999", expiryDate="11/48"), "second")  # cards are not compared
    assert replayed.headers["idempotency-replayed"] == "true"
    other = await keyed(bob, order, card(name="Somebody Else"), "second")
    assert other.status == 422
    await db.execute("DELETE FROM idempotency_keys")  # as if the process had died before it kept its answer
    assert [(await keyed(bob, order, card(), key)).body for key in ("first", "second")] == [first.body, paid.body]
    assert paid.body == replayed.body
    assert (await keyed(bob, order, card(), "third")).status == 409
    assert await charges(db, order) == [("declined", 2099), ("succeeded", 2099)]


async def test_a_request_that_is_repeated_while_nobody_knows_finds_its_own_attempt(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], services: Services, db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    first = await keyed(bob, order, card(TIMEOUT_AFTER), "unknown")
    assert first.status == 202
    await db.execute("DELETE FROM idempotency_keys")
    again = await keyed(bob, order, card(TIMEOUT_AFTER), "unknown")
    assert (again.status, again.body) == (202, first.body)
    assert (await keyed(bob, order, card(), "another")).status == 409
    async with clock_moved(db, 20):
        await settle_all(services)
    await db.execute("DELETE FROM idempotency_keys")
    known = await keyed(bob, order, card(TIMEOUT_AFTER), "unknown")
    assert (known.status, known["status"], known["date"]) == (201, "Authorised", first["date"])
    assert await charges(db, order) == [("succeeded", 2099)]


async def test_a_provider_that_breaks_is_asked_later_and_its_words_are_not_logged(
    bob: Client,
    stage: tuple[dict[str, Any], dict[str, Any]],
    services: Services,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def break_down(_self: Any, _charge: Any, means: Card, *_rest: Any) -> Any:
        raise RuntimeError(f"cannot parse {means.number} {means.cvv}")

    said = LogCapture()
    order = await place(bob, *stage)
    with monkeypatch.context() as patch:
        patch.setattr(asking, "log", structlog.wrap_logger(None, processors=[said]))
        patch.setattr(Sandbox, "charge", break_down)
        broken = await bob.post(order["payments"], card(cvv="4937"))
    assert (broken.status, broken["status"]) == (202, "Pending")
    assert [(entry["event"], entry["reason"]) for entry in said.entries] == [
        ("payments.provider_broke", "RuntimeError")
    ]
    assert AUTHORISED not in str(said.entries)
    assert "4937" not in str(said.entries)
    async with clock_moved(db, 20):
        await settle_all(services)
        assert (await bob.get(order["self"]))["status"] == "Placed"
        await pay(bob, order)


async def test_an_answer_that_cannot_be_recorded_is_recorded_later(
    bob: Client,
    stage: tuple[dict[str, Any], dict[str, Any]],
    services: Services,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lose(*_details: Any) -> Any:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    order = await place(bob, *stage)
    with monkeypatch.context() as patch:
        patch.setattr(settling, "conclude", lose)
        unrecorded = await bob.post(order["payments"], card())
    assert (unrecorded.status, unrecorded["status"]) == (202, "Pending")
    assert await charges(db, order) == [("succeeded", 2099)]
    async with clock_moved(db, 20):
        await settle_all(services)
    assert (await bob.get(order["self"]))["status"] == "Fulfilled"


async def test_an_answer_that_the_database_undoes_is_recorded_all_the_same(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(10))

    async def deadlock_twice(*details: Any) -> Any:
        if next(times) < 2:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return await conclude(*details)

    order = await place(bob, *stage)
    with monkeypatch.context() as patch:
        patch.setattr(settling, "conclude", deadlock_twice)
        await pay(bob, order)


async def test_a_slow_record_is_not_waited_for_longer_than_the_client_does(
    bob: Client,
    stage: tuple[dict[str, Any], dict[str, Any]],
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on = asyncio.Event()

    async def wait(*details: Any) -> Any:
        await may_go_on.wait()
        return await conclude(*details)

    order = await place(bob, *stage)
    with monkeypatch.context() as patch:
        patch.setattr(settling, "conclude", wait)
        patch.setattr(routes, "RECORDING_SECONDS", -4.8)
        pending = await bob.post(order["payments"], card())
        assert (pending.status, pending["status"]) == (202, "Pending")
        may_go_on.set()
        async with asyncio.timeout(5):
            while (await bob.get(order["self"]))["status"] != "Fulfilled":
                await asyncio.sleep(0.01)


async def test_a_payment_goes_on_without_the_client(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    charge = Sandbox.charge

    async def wait(*details: Any) -> Any:
        begun.set()
        await may_go_on.wait()
        return await charge(*details)

    order = await place(bob, *stage)
    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, "charge", wait)
        request = asyncio.create_task(bob.post(order["payments"], card()))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        may_go_on.set()
        async with asyncio.timeout(5):
            while (await bob.get(order["self"]))["status"] != "Fulfilled":
                await asyncio.sleep(0.01)


FAULTY: list[tuple[str, list[Any]]] = [
    (
        "number",
        [
            4111,
            -4111111111111111,
            4111111111111111.5,
            6011000990139424123,
            "4111",
            "4" * 20,
            "4111x11111111111",
            "\u0664" * 16,
            ["4111111111111111"],
            {},
            True,
        ],
    ),
    ("cvv", [12345, -12, 123.0, 1.5, "12", "12345", "-12", "abc", "١٢٣", [1], {}, True, False]),
    ("expiryDate", ["13/30", "00/30", "1/30", "12/2030", "12-30", "01/20", 1230, "12/49 ", {}, True]),
    ("name", [7, "x" * 201, "  ", "a\x00b", {}, ["Marvin"]]),
    ("email", ["nobody", "a@b", 7, "x" * 250 + "@example.com", {}]),
    ("phone", ["x" * 41, " ", "1\x00", -7, 1.5, True, {}, ["1"]]),
    ("address1", [7, "x" * 201, {}]),
    ("city", [7, "x" * 201, {}]),
    ("district", [7, "x" * 201, {}]),
    ("country", ["Atlantis", 7, {}]),
    ("address2", [7, "x" * 201, {}, ["x"]]),
]


TAKEN: list[tuple[str, list[Any]]] = [
    ("number", [4111111111111111, "4111 1111 1111 1111", "4111-1111-1111-1111"]),
    ("cvv", [123, 1234, 12, 7, 0, "123", "007", "1234"]),
    ("phone", ["1", "call me", "+1 268 460 1234", "x" * 40, 2684601234]),
]


@pytest.mark.parametrize(("member", "values"), TAKEN, ids=[member for member, _ in TAKEN])
async def test_what_clients_send_is_taken(
    member: str, values: list[Any], bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Digits come as text or as a number; whom the payer's telephone reaches is not ours to judge."""
    for value in values:
        order = await place(bob, *stage)
        answer = await bob.post(order["payments"], card(**{member: value}))
        assert (answer.status, answer["status"]) == (201, "Authorised"), value


@pytest.mark.parametrize(("member", "values"), FAULTY, ids=[member for member, _ in FAULTY])
async def test_a_faulty_member_is_named_and_nothing_is_written(
    member: str, values: list[Any], bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    order = await place(bob, *stage)
    for value in values:
        answer = await bob.post(order["payments"], card(**{member: value}))
        expected = (400, f"The following arguments have invalid values: {member}.")
        assert refused(answer) == expected, value
        assert not member.startswith(("number", "cvv")) or str(value) not in str(answer.body)
    if member != "address2":
        for empty in ("", None, []):
            answer = await bob.post(order["payments"], card(**{member: empty}))
            assert refused(answer) == (400, f"{MISSING}: {member}."), empty
    assert (await bob.get(order["self"])).body == order
    assert (await bob.get(order["payments"]))["total"] == 0


async def test_members_that_are_not_asked_for_change_nothing(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    paid = await bob.post(order["payments"], card(amount=0.01, status="Authorised", currency="XXX", address2="Flat 2"))
    assert (paid.status, paid["amount"]) == (201, 20.99)


async def test_bodies_that_are_no_object_are_refused(bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]) -> None:
    order = await place(bob, *stage)
    for body in (b"[]", b"7", b'"x"', b"{", b"\xff", b"null"):
        answer = await bob.send("POST", order["payments"], content=body)
        assert answer.status == 400
        assert answer.error.startswith("Your request payload is invalid.")
    huge = await bob.send("POST", order["payments"], json=card(name="x" * 1_100_000))
    assert huge.status == 413


async def test_cards_as_people_type_them_are_understood(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]], db: asyncpg.Connection
) -> None:
    month = await db.fetchval("SELECT to_char(clock(), 'MM/YY')")  # a card lasts to the end of its month
    for number in ("4111 1111 1111 1111", "4111-1111-1111-1111"):
        order = await place(bob, *stage)
        assert (await bob.post(order["payments"], card(number, expiryDate=month)))["status"] == "Authorised"


async def test_the_payments_of_an_order_are_a_list_like_others(
    bob: Client, stage: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    order = await place(bob, *stage)
    for _ in range(3):
        await bob.post(order["payments"], card(DECLINED))
    page = await bob.get(order["payments"], page=2, records=2, sort="date")
    assert (page["page"], page["records"], page["total"], len(page["entries"])) == (2, 2, 3, 1)
    assert (await bob.get(order["payments"], status="Lost")).status == 400
    assert (await bob.get(order["payments"], colour="red")).status == 400
    assert (await bob.get(order["refunds"])).body == {"page": 1, "records": 25, "total": 0, "entries": []}


async def keyed(person: Client, order: dict[str, Any], body: dict[str, Any], key: str) -> Any:
    return await person.send("POST", order["payments"], json=body, headers={"Idempotency-Key": key})
