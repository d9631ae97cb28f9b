"""Lists of events: what filters and sorts them, and who sees which."""

from typing import Any

import pytest

from conftest import Client, unique
from makers import (
    hold_tickets,
    id_of,
    list_event,
    make_category,
    make_event,
    make_host,
    make_region,
    make_section,
    make_venue,
)

TITLES = ["banana Night", "Apple Night", "cherry Night", "Date Night"]


@pytest.fixture(scope="module")
async def season(administrator: Client, alice: Client, bob: Client) -> dict[str, Any]:
    """Four events of one host in one region: two at Saint John's, two in Paris; the last is not public.

    By instant: Apple (no dates), cherry (ended), Date, banana.
    """
    region, host = await make_region(administrator), await make_host(alice)
    category = await make_category(administrator)
    antigua = await make_venue(administrator, region)
    paris = await make_venue(administrator, region, longitude=2.3522, latitude=48.8566)
    details = [
        {"venue": antigua["self"], "start": "2034-06-07T20:00", "end": "2034-06-07T23:00"},
        {"venue": antigua["self"], "start": "", "end": "", "subcategory": "Soca"},
        {"venue": paris["self"], "start": "2020-01-01T20:00", "end": "2020-01-01T23:00"},
        # later on the clock than Antigua's, but earlier as an instant
        {"venue": paris["self"], "start": "2034-06-07T21:00", "end": "2034-06-07T23:30+02:00", "public": False},
    ]
    events = []
    for title, members in zip(TITLES, details, strict=True):
        event = await make_event(alice, administrator, host, title=unique(title), category=category["self"], **members)
        section = await make_section(alice, event)
        events.append(await list_event(administrator, event))
        if sold := {"cherry Night": 3, "banana Night": 1}.get(title):
            await hold_tickets(bob, alice, event, section, sold, by=administrator)
    return {"region": region, "host": host, "category": category, "events": events}


def names(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [entry["title"].split()[0] for entry in answer["entries"]]


async def test_published_events_are_listed_and_public(season: dict[str, Any], public: Client) -> None:
    page = await public.get("/published-events", region=id_of(season["region"]))
    assert names(page) == ["banana", "Apple", "cherry"]
    assert page["entries"] == [(await public.get(entry["self"])).body for entry in page["entries"]]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("alphabetical", ["Apple", "banana", "cherry"]),
        ("published", ["banana", "Apple", "cherry"]),
        ("popularity", ["Apple", "banana", "cherry"]),
        ("start", ["Apple", "cherry", "banana"]),
    ],
)
async def test_published_events_are_sorted(
    season: dict[str, Any], public: Client, sort: str, expected: list[str]
) -> None:
    scope = {"region": id_of(season["region"]), "sort": sort}
    assert names(await public.get("/published-events", **scope)) == expected
    assert names(await public.get("/published-events", **scope, order="desc")) == expected[::-1]
    pages = [await public.get("/published-events", **scope, records=2, page=page) for page in (1, 2)]
    assert names(pages[0]) + names(pages[1]) == expected
    beyond = await public.get("/published-events", **scope, records=2, page=3)
    assert (beyond.status, beyond.error) == (404, "The specified page does not exist for the given records per page")


async def test_starts_are_sorted_as_instants(season: dict[str, Any], alice: Client) -> None:
    listed = await alice.get(f"{season['host']['self']}/events", sort="start")
    assert names(listed) == ["Apple", "cherry", "Date", "banana"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"active": "true"}, ["banana"]),
        ({"active": "false"}, ["Apple", "cherry"]),
        ({"active": "1"}, ["banana"]),
        ({"active": ""}, ["banana", "Apple", "cherry"]),
        ({"subcategory": "Soca"}, ["Apple"]),
        ({"subcategory": "soca"}, []),
        ({"before": "2020-01-01T23:00"}, ["cherry"]),
        ({"before": "2020-01-01T22:00Z"}, ["cherry"]),
        ({"before": "2020-01-01T21:59:59Z"}, []),
        ({"after": "2034-06-07T20:00"}, ["banana"]),
        ({"after": "2034-06-08T00:00+00:00"}, ["banana"]),
        ({"after": "2034-06-08T00:00:01Z"}, []),
        ({"after": "2000-01-01T00:00", "before": "9999-12-31T23:59:59.999Z"}, ["banana", "cherry"]),
        ({"title": "banana"}, ["banana"]),
        ({"title": "nothing like it"}, []),
    ],
)
async def test_published_events_are_filtered(
    season: dict[str, Any], public: Client, filters: dict[str, str], expected: list[str]
) -> None:
    assert names(await public.get("/published-events", region=id_of(season["region"]), **filters)) == expected


async def test_references_and_titles_filter(season: dict[str, Any], public: Client) -> None:
    for filters in (
        {"host": id_of(season["host"])},
        {"category": id_of(season["category"])},
        {"region": id_of(season["region"])},
    ):
        assert (await public.get("/published-events", **filters))["total"] == 3
        assert (await public.get("/published-events", **dict.fromkeys(filters, "1")))["total"] == 0
    title = season["events"][0]["title"]
    assert names(await public.get("/published-events", title=title)) == ["banana"]


async def test_unsupported_criteria_and_bad_values_are_refused(public: Client) -> None:
    refused = await public.get("/published-events", status="Listed", colour="red")
    assert (refused.status, refused.error) == (
        400,
        "The collection does not support the following filters: status, colour.",
    )
    refused = await public.get("/published-events", sort="price")
    assert (refused.status, refused.error) == (400, "The collection cannot be sorted by price.")
    bad = {"region": "x", "host": "-1", "category": "1e3", "before": "soon", "after": "2034-06-07", "active": "maybe"}
    refused = await public.get("/published-events", **bad)
    assert (refused.status, refused.error) == (
        400,
        "The following arguments have invalid values: region, host, category, before, after, active.",
    )
    refused = await public.get("/published-events", title="\x00")
    assert refused.error == "The following arguments have invalid values: title."


async def test_staff_list_all_events_in_every_status(
    season: dict[str, Any], administrator: Client, support: Client, alice: Client
) -> None:
    host = id_of(season["host"])
    draft = await make_event(alice, administrator, season["host"], title=unique("Elder Night"))
    section = (await make_section(alice, draft))["self"].rsplit("/", 1)[1]

    async def found(**filters: str) -> list[str]:
        return names(await support.get("/events", host=host, **filters))

    assert await found() == ["banana", "Apple", "cherry", "Date", "Elder"]
    assert await found(status="Draft") == ["Elder"]
    assert await found(status="Listed") == ["banana", "Apple", "cherry", "Date"]
    assert await found(status="Scheduled") == ["banana", "Apple", "Date"]
    assert await found(status="Scheduled", active="true", public="false") == ["Date"]
    assert await found(section=section) == ["Elder"]
    assert await found(section="1") == []
    assert await found(title=season["events"][1]["title"], region=id_of(season["region"])) == ["Apple"]
    refused = await administrator.get("/events", status="listed")
    assert refused.error == "The following arguments have invalid values: status."
    assert (await alice.get("/events")).body == {"message": "You are restricted from accessing this resource."}
    await alice.delete(draft["self"])
    assert await found(status="Draft") == []


async def test_a_host_lists_its_own_events(
    season: dict[str, Any], administrator: Client, support: Client, alice: Client, bob: Client, public: Client
) -> None:
    uri = f"{season['host']['self']}/events"
    for person in (alice, administrator):
        assert names(await person.get(uri)) == ["banana", "Apple", "cherry", "Date"]
    assert names(await alice.get(uri, sort="alphabetical", public="true")) == ["Apple", "banana", "cherry"]
    for stranger in (bob, support):
        refused = await stranger.get(uri)
        assert (refused.status, refused.error) == (
            403,
            "This account is not an administrator for the relevant event host.",
        )
    assert (await public.get(uri)).body == {"message": "You are restricted from accessing this resource."}
    unknown = await alice.get("/hosts/1/events")
    assert (unknown.status, unknown.error) == (404, "The specified host could not be found.")
