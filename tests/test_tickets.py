"""The wallet and the itinerary: what somebody holds, and where it leads."""

import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from conftest import Client, MakePerson, breaks_by_hand
from makers import hold_tickets, id_of, list_event, make_event, make_section, section_uri

NOT_YOURS = "You are not authorised to access or modify this account."
NO_ACCOUNT = "The requested account could not be located"


@dataclass
class Tour:
    """Three listed events of one host, and a fan with tickets to two of them."""

    runner: Client
    fan: Client
    events: dict[str, dict[str, Any]]
    sections: dict[str, dict[str, Any]]
    serials: dict[str, list[str]]

    @property
    def wallet(self) -> str:
        return f"/accounts/{self.fan.number}/tickets"

    @property
    def itinerary(self) -> str:
        return f"/accounts/{self.fan.number}/events"


@pytest.fixture(scope="module")
async def tour(administrator: Client, make_person: MakePerson) -> Tour:
    runner, fan = await make_person("frenchie"), await make_person("kimiko")
    dates = {
        "zouk": {"start": "2034-06-07T20:00", "end": "2034-06-07T23:00"},
        "Abba": {"start": "9999-12-31T12:00", "end": "9999-12-31T23:59:59.999Z"},
        "past": {"start": "2020-06-07T20:00", "end": "2020-06-07T23:00"},
        "none": {"start": "", "end": ""},
    }
    events, sections, serials = {}, {}, {}
    for name, times in dates.items():
        event = await make_event(runner, administrator, title=f"{name} night", **times)
        sections[name] = await make_section(runner, event, name=f"{name} floor")
        events[name] = await list_event(administrator, event)
        wanted = {"zouk": 2, "Abba": 3, "past": 1}.get(name, 0)
        serials[name] = (
            await hold_tickets(fan, runner, events[name], sections[name], wanted, by=administrator) if wanted else []
        )
    return Tour(runner, fan, events, sections, serials)


async def serials_of(tour: Tour, client: Client | None = None, **query: Any) -> list[str]:
    answer = await (client or tour.fan).get(tour.wallet, **query)
    assert answer.status == 200, answer.body
    assert answer["total"] == len(answer["entries"])
    return [ticket["serial"] for ticket in answer["entries"]]


async def titles_of(tour: Tour, **query: Any) -> list[str]:
    answer = await tour.fan.get(tour.itinerary, **query)
    assert answer.status == 200, answer.body
    return [event["title"].split(" ")[0] for event in answer["entries"]]


# The wallet


async def test_a_ticket_says_whose_it_is_and_where_it_opens(tour: Tour) -> None:
    ticket = (await tour.fan.get(tour.wallet, status="Issued"))["entries"][0]
    assert re.fullmatch(r"ZOUGHT-ZOUK[0-9A-Z]{8}", ticket["serial"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", ticket["issued"])
    wanted = {
        "self": ticket["self"],
        "serial": tour.serials["zouk"][0],
        "status": "Issued",
        "section": {
            "self": section_uri(tour.events["zouk"], tour.sections["zouk"]),
            "name": "zouk floor",
            "description": "Standing",
        },
        "owner": {
            "self": f"/accounts/{tour.fan.number}",
            "number": tour.fan.number,
            "username": tour.fan.username,
            "email": tour.fan.email,
            "firstName": "Kimiko",
            "lastName": "Tester",
        },
        "issued": ticket["issued"],
        "redeemed": "N/A",
    }
    assert {name: ticket[name] for name in wanted} == wanted
    assert re.fullmatch(r"/[A-Za-z0-9\-/]+", ticket["self"])
    assert (await tour.fan.get(ticket["self"])).status == 200


async def test_a_wallet_holds_all_oldest_first(tour: Tour) -> None:
    everything = [*tour.serials["zouk"], *tour.serials["Abba"], *tour.serials["past"]]
    assert await serials_of(tour) == everything
    assert await serials_of(tour, order="desc") == everything[::-1]
    page = await tour.fan.get(tour.wallet, page=2, records=4)
    assert [ticket["serial"] for ticket in page["entries"]] == everything[4:]
    assert (page["page"], page["records"], page["total"]) == (2, 4, 6)


async def test_a_wallet_is_filtered(tour: Tour) -> None:
    zouk, abba = tour.serials["zouk"], tour.serials["Abba"]
    assert await serials_of(tour, event=id_of(tour.events["zouk"])) == zouk
    assert await serials_of(tour, section=id_of(tour.sections["Abba"])) == abba
    assert await serials_of(tour, serial="ABBGHT") == abba
    assert await serials_of(tour, serial="abbght-") == abba
    assert await serials_of(tour, serial=zouk[1]) == zouk[1:]
    assert await serials_of(tour, serial="%") == await serials_of(tour, serial="_") == []
    assert await serials_of(tour, event=id_of(tour.events["zouk"]), serial="ABB") == []
    assert await serials_of(tour, event=1) == []
    assert len(await serials_of(tour, event="", status="", serial="")) == 6


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"event": "x"}, "The following arguments have invalid values: event."),
        ({"section": "/sections/1", "event": "-1"}, "The following arguments have invalid values: event, section."),
        ({"status": "issued"}, "The following arguments have invalid values: status."),
        ({"serial": "A\x00"}, "The following arguments have invalid values: serial."),
        ({"owner": "me"}, "The collection does not support the following filters: owner."),
        ({"sort": "serial"}, "The collection cannot be sorted by serial."),
    ],
)
async def test_a_wallet_refuses_what_it_does_not_know(tour: Tour, query: dict[str, Any], text: str) -> None:
    refused = await tour.fan.get(tour.wallet, **query)
    assert (refused.status, refused.error) == (400, text)


@breaks_by_hand
async def test_a_ticket_goes_through_its_states(
    administrator: Client, make_person: MakePerson, db: asyncpg.Connection
) -> None:
    runner, guest = await make_person("runner"), await make_person("guest")
    event = await make_event(runner, administrator)
    section = await make_section(runner, event)
    event = await list_event(administrator, event)
    used, pending, voided = await hold_tickets(guest, runner, event, section, 3)
    admitted = await runner.post(f"{event['self']}/admissions", redeemer="Kofi", device="1", serials=[used])
    assert admitted.status == 201
    await db.execute("UPDATE tickets SET status = 'Pending', transfer_id = 1 WHERE serial = $1", pending)
    await db.execute("UPDATE tickets SET status = 'Voided' WHERE serial = $1", voided)

    async def with_status(status: str) -> list[str]:
        answer = await guest.get(f"/accounts/{guest.number}/tickets", status=status)
        return [ticket["serial"] for ticket in answer["entries"]]

    assert await with_status("Redeemed") == [used]
    assert await with_status("Pending") == await with_status("Held") == [pending]
    assert await with_status("Voided") == [voided]
    assert await with_status("Issued") == []
    [ticket] = (await guest.get(f"/accounts/{guest.number}/tickets", status="Redeemed"))["entries"]
    assert (ticket["status"], ticket["redeemed"]) == ("Redeemed", admitted.body[0]["admitted"])
    [held] = (await guest.get(f"/accounts/{guest.number}/tickets", status="Held"))["entries"]
    assert held["status"] == "Pending"


async def test_wallet_and_itinerary_are_their_owners_and_the_staffs(
    tour: Tour, bob: Client, support: Client, administrator: Client
) -> None:
    for path in (tour.wallet, tour.itinerary):
        for reader in (support, administrator):
            assert (await reader.get(path)).body == (await tour.fan.get(path)).body
        for stranger in (bob, tour.runner):
            refused = await stranger.get(path)
            assert (refused.status, refused.error) == (403, NOT_YOURS)
        nobody = await support.get(path.replace(tour.fan.number, "XX-00000000"))
        assert (nobody.status, nobody.error) == (404, NO_ACCOUNT)
        lower = await tour.fan.get(path.replace(tour.fan.number, tour.fan.number.lower()))
        assert lower.status == 200


async def test_a_ticket_is_read_by_its_owner_and_the_staff(
    tour: Tour, bob: Client, support: Client, administrator: Client
) -> None:
    [serial] = tour.serials["past"]
    for reader in (tour.fan, support, administrator):
        assert (await reader.get(f"/tickets/{serial}"))["serial"] == serial
    refused = await bob.get(f"/tickets/{serial}")
    assert (refused.status, refused.error) == (403, NOT_YOURS)
    for nothing in ("AAAAAA-AAAA00000000", "x", "1"):
        answer = await tour.fan.get(f"/tickets/{nothing}")
        assert (answer.status, answer.body) == (404, {"error": "There is presently no resource with the given URI."})


# The itinerary


async def test_an_itinerary_lists_past_and_future_events_once(tour: Tour) -> None:
    assert await titles_of(tour) == ["zouk", "Abba", "past"]
    [entry] = (await tour.fan.get(tour.itinerary, active="false"))["entries"]
    assert entry == (await tour.fan.get(tour.events["past"]["self"])).body


async def test_an_itinerary_is_filtered_and_sorted_as_events_are(tour: Tour) -> None:
    assert await titles_of(tour, active="true") == ["zouk", "Abba"]
    assert await titles_of(tour, active="false") == ["past"]
    assert await titles_of(tour, sort="alphabetical") == ["Abba", "past", "zouk"]
    assert await titles_of(tour, sort="alphabetical", order="desc") == ["zouk", "past", "Abba"]
    assert await titles_of(tour, sort="start") == ["past", "zouk", "Abba"]
    assert await titles_of(tour, sort="start", order="desc") == ["Abba", "zouk", "past"]
    assert await titles_of(tour, sort="popularity") == ["past", "zouk", "Abba"]
    assert await titles_of(tour, sort="published") == ["zouk", "Abba", "past"]
    for query, text in [
        ({"active": "maybe"}, "The following arguments have invalid values: active."),
        ({"title": "x"}, "The collection does not support the following filters: title."),
        ({"sort": "end"}, "The collection cannot be sorted by end."),
    ]:
        refused = await tour.fan.get(tour.itinerary, **query)
        assert (refused.status, refused.error) == (400, text)


async def test_an_itinerary_forgets_voided_tickets(administrator: Client, make_person: MakePerson) -> None:
    runner, guest = await make_person("runner"), await make_person("guest")
    event = await make_event(runner, administrator)
    section = await make_section(runner, event)
    event = await list_event(administrator, event)
    await hold_tickets(guest, runner, event, section)
    assert (await guest.get(f"/accounts/{guest.number}/events"))["total"] == 1
    assert (await administrator.delete(section_uri(event, section))).status == 200
    assert (await guest.get(f"/accounts/{guest.number}/events"))["total"] == 0
    assert (await guest.get(f"/accounts/{guest.number}/tickets", status="Voided"))["total"] == 1
