"""Every link in every answer leads somewhere: as each kind of caller, all of them are followed.

A link is any text that begins with `/`, and every image's URL. Following it gives 200, or a 403 that REFUSED lists, or
the 404 of a thing that was removed and is still mentioned.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from conftest import Answer, Client, MakePerson
from makers import (
    DECLINED,
    card,
    gate,
    hold_tickets,
    id_of,
    list_event,
    make_event,
    make_host,
    make_section,
    pay,
    place,
    section_uri,
)
from ticketing.submissions.rules import submission_id

# What a caller finds links to in what he may read, and may not read itself: other people, and what they alone may see.
REFUSED: dict[str, set[str]] = {
    "public": {"retrieve_reset", "retrieve_sign_in", "retrieve_verification"},
    "customer": {"retrieve_account"},
    "recipient": {"retrieve_account"},
    "runner": {"retrieve_account", "retrieve_order", "retrieve_submission", "retrieve_ticket"},
    "rival": {"retrieve_ticket"},
    "gate": {"retrieve_account", "retrieve_ticket"},
    "support": {"retrieve_account_preferences", "retrieve_session"},
}

# No link leads there: a code and a serial are put into the path by whoever holds them.
NAMED = {"retrieve_token_auth", "retrieve_wallet_ticket"}

# Members that are links wherever they stand, unless they are a bare id or an object.
LINKS = (
    "self",
    "uri",
    "preferences",
    "payments",
    "refunds",
    "claims",
    "section",
    "event",
    "resource",
    "region",
    "order",
)


def links(value: Any, member: str = "") -> Iterator[str]:
    """The links in an answer; a section's `self` is relative to its event, and whole in its `uri`."""
    if isinstance(value, dict):
        relative = str(value.get("self", "")).startswith("/sections/")
        if relative:
            assert value["uri"].endswith(value["self"]), value
        for name, inner in value.items():
            if not (relative and name == "self"):
                yield from links(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner, member)
    elif isinstance(value, str):
        if value.startswith("/") or "/media/" in value:
            yield value
        else:
            assert member not in LINKS or value.isdigit(), (member, value)


@dataclass
class Description:
    """The reading operations, by their paths."""

    reading: dict[str, dict[str, Any]]

    def operation(self, path: str) -> str | None:
        """The id of the operation that answers GET for this path."""
        for template, operation in self.reading.items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                return str(operation["operationId"])
        return None

    def below(self, path: str) -> Iterator[str]:
        """What may be read one step below a thing: its lists and reports."""
        for template in self.reading:
            above, _, last = template.rpartition("/")
            if "{" not in last and "{" in above and re.fullmatch(re.sub(r"{\w+}", "[^/]+", above), path):
                yield f"{path}/{last}"

    def roots(self) -> list[str]:
        """What may be read without naming anything."""
        return [template for template in self.reading if "{" not in template]


@dataclass
class Walker:
    """One kind of caller, and what came of each link he found."""

    client: Client
    description: Description
    found: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)

    async def walk(self, answers: list[Any]) -> None:
        """Follow the links of these answers, and of all that is read by the way."""
        waiting = [link for answer in answers for link in links(answer)]
        for root in self.description.roots():
            waiting += await self.look_around(root)
        while waiting:
            link = waiting.pop()
            if link not in self.found:
                self.found.add(link)
                waiting += await self.follow(link)

    async def look_around(self, path: str) -> list[str]:
        """The links in what may, or may not, be there for this caller."""
        parameters = {"records": "500"} if self.takes_records(path) else {}
        if path.startswith("/accounts/") and path.endswith("/transfers"):
            parameters["role"] = "sender"
        answer = await self.client.send("GET", path, params=parameters)
        assert answer.status in (200, 400, 401, 403, 404), (path, answer.body)
        if answer.status != 200:
            return []
        self.read.add(str(self.description.operation(path)))
        assert answer.body.get("total", 0) <= 500
        return list(links(answer.body))

    def takes_records(self, path: str) -> bool:
        operation = self.description.operation(path)
        return any(
            parameter["name"] == "records"
            for one in self.description.reading.values()
            if one["operationId"] == operation
            for parameter in one["parameters"]
        )

    async def follow(self, link: str) -> list[str]:
        if "/media/" in link:
            image = await self.client.http.get(link)
            if image.status_code == 404:
                self.gone.add(link)
            else:
                assert (image.status_code, image.headers["content-type"][:6]) == (200, "image/"), link
            return []
        operation = self.description.operation(link)
        assert operation, f"{link} leads nowhere"
        answer = await self.client.get(link)
        if answer.status == 200:
            self.read.add(operation)
            onward = list(links(answer.body))
            for path in self.description.below(link):
                onward += await self.look_around(path)
            return onward
        assert answer.status in (403, 404), (link, answer.body)
        if answer.status == 403:
            self.refused.add(operation)
        else:
            self.gone.add(link)
        return []


@dataclass
class World:
    """Somebody of each kind, all that their requests were answered, and what is mentioned though it was removed."""

    callers: dict[str, Client]
    answers: dict[str, list[Any]]
    removed: set[str]


@pytest.fixture(scope="module")
async def description(http: httpx.AsyncClient) -> Description:
    paths = (await http.get("/v3/openapi.json")).json()["paths"]
    return Description(
        {
            path: methods["get"]
            for path, methods in paths.items()
            if "get" in methods and "application/json" in methods["get"]["responses"]["200"]["content"]
        }
    )


@pytest.fixture(scope="module")
async def world(http: httpx.AsyncClient, db: asyncpg.Connection, make_person: MakePerson) -> World:
    """Something of everything, in every state; each answer is kept."""
    answers: dict[str, list[Any]] = defaultdict(list)
    send = Client.send

    async def send_and_keep(self: Client, *request: Any, **details: Any) -> Answer:
        answer = await send(self, *request, **details)
        if answer.status < 300 and not isinstance(answer.body, bytes):
            answers[self.key].append(answer.body)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "send", send_and_keep)
        callers, removed = await make_world(http, db, make_person)
    return World(callers, {kind: answers[caller.key] for kind, caller in callers.items()}, removed)


async def make_world(
    http: httpx.AsyncClient, db: asyncpg.Connection, make_person: MakePerson
) -> tuple[dict[str, Client], set[str]]:
    admin, support = await make_person("admin", role="administrator"), await make_person("support", role="support")
    runner, customer, recipient, rival, leaving = [
        await make_person(name) for name in ("runner", "customer", "recipient", "rival", "leaving")
    ]
    public = Client(http, (await admin.post("/integrations", name="Page", access="public"))["key"])
    assert (await admin.get("/integrations")).status == 200

    event = await make_event(runner, admin)
    floor = await make_section(runner, event, capacity=100)
    box = await make_section(runner, event, basePrice=20, capacity=100)
    gone = await make_section(runner, event, capacity=100)
    price = await runner.post(f"{section_uri(event, box)}/prices", name="Early bird", price=10)
    assert (await runner.get(price["self"])).body == price.body
    token = await runner.post(f"{event['self']}/tokens", sections=[section_uri(event, floor)])
    await list_event(admin, event)
    for state in ("drafted", "submitted"):
        await make_in_state(runner, admin, state)
    decided = [event, *[await make_in_state(runner, admin, state) for state in ("unlisted", "cancelled")]]

    serials = await hold_tickets(customer, runner, event, floor, 9)
    await hold_tickets(customer, runner, event, gone, 1)
    paid = await place(customer, event, box, 2)
    assert (await customer.post(paid["payments"], card(DECLINED)))["status"] == "Declined"
    await pay(customer, paid)
    refunded = await pay(customer, await place(customer, event, box, 2))
    assert (await admin.post(refunded["refunds"], reason="Ill"))["status"] == "Authorised"
    await place(customer, event, box, 1)
    assert (await customer.delete((await place(customer, event, box, 1))["self"])).status == 200

    transfers = [
        await customer.post("/transfers", recipient=recipient.number, tickets={section_uri(event, floor): 1})
        for _ in range(3)
    ]
    assert (await recipient.post(transfers[0]["claims"])).status == 201
    assert (await customer.delete(transfers[1]["self"])).status == 200
    key = await public.get(f"/tokens/{token['code']}")
    scanner = gate(public, key["key"])
    scan = {"redeemer": "Kofi", "device": "1", "serials": serials}
    assert (await scanner.post(f"{event['self']}/admissions", scan)).status == 201
    late = {"serial": serials[0], "at": "2026-01-01T00:00:00Z", "nonce": "used before"}
    sent = await scanner.post(f"{event['self']}/scans", redeemer="Kofi", device="1", scans=[late])
    assert sent["results"][0]["verdict"] == "conflict"
    assert (await public.get(f"/tokens/{token['code']}")).status == 200
    assert (await scanner.get(f"{event['self']}/tickets", modified_since="1970-01-01T00:00:00Z")).status == 200

    assert (
        await customer.put(f"/accounts/{customer.number}/preferences", region=id_of(event["venue"]["region"]))
    ).status == 200
    for path in ("/verifications", "/resets", "/sign-ins"):
        for visitor in (public, admin):
            assert (await visitor.post(path, email=customer.email)).status == 201
    assert (await runner.get(f"{event['host']['self']}/administrators")).status == 200
    report = {"host": id_of(event["host"])}
    assert (await runner.get("/transactions", **report)).status == 200

    # Removed, and still mentioned: a section, an event, a host, an account; and what was decided.
    short_lived = await make_event(rival, admin)
    lawn = await make_section(rival, short_lived, capacity=10)
    await list_event(admin, short_lived)
    await hold_tickets(leaving, rival, short_lived, lawn, 1)
    assert (await admin.delete(section_uri(event, gone))).status == 200
    assert (await admin.delete(section_uri(short_lived, lawn))).status == 200
    assert (await rival.delete(short_lived["self"])).status == 200
    hostless = await make_in_state(rival, admin, "listed")
    assert (await rival.delete(hostless["host"]["self"])).status == 200
    assert (await leaving.delete(f"/accounts/{leaving.number}")).status == 200
    removed = {
        section_uri(event, gone),
        section_uri(short_lived, lawn),
        *(short_lived[member] for member in ("self", "banner", "thumbnail")),
        hostless["host"]["self"],
        f"/accounts/{leaving.number}",
        *(f"/submissions/{submission_id(int(id_of(one)))}" for one in (*decided, short_lived, hostless)),
    }
    callers = {
        "public": public,
        "customer": customer,
        "recipient": recipient,
        "runner": runner,
        "rival": rival,
        "gate": scanner,
        "support": support,
        "admin": admin,
    }
    return callers, removed


async def make_in_state(runner: Client, admin: Client, state: str) -> dict[str, Any]:
    event = await make_event(runner, admin, await make_host(runner))
    if state == "submitted":
        assert (await runner.post(f"{event['self']}/submissions")).status == 201
    elif state != "drafted":
        event = await list_event(admin, event)
    if state == "unlisted":
        assert (await runner.delete(f"{event['self']}/publications")).status == 200
    if state == "cancelled":
        assert (await runner.post(f"{event['self']}/cancellations", reason="Rain")).status == 200
    return event


async def test_every_link_leads_somewhere(world: World, description: Description) -> None:
    refused, read = {}, set()
    for kind, caller in world.callers.items():
        walker = Walker(caller, description)
        await walker.walk(world.answers[kind])
        assert len(walker.found) > 10, kind
        assert walker.gone <= world.removed, kind
        refused[kind] = walker.refused
        read |= walker.read
    assert {kind: operations for kind, operations in refused.items() if operations} == REFUSED
    unread = {str(one["operationId"]) for one in description.reading.values()} - read
    assert unread == NAMED, "no answer leads there"
