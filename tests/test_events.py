"""Events: from draft to removed, and who sees them."""

import base64
from typing import Any

import asyncpg

from conftest import Client, breaks_by_hand, unique
from makers import (
    id_of,
    list_event,
    make_category,
    make_event,
    make_host,
    make_region,
    make_section,
    make_venue,
    section_uri,
)
from test_sections import counts, order_status, sell

GENERAL = {"error": "There is presently no resource with the given URI."}
STRANGER = "This account is not an administrator for the relevant event host."
UNLISTED = "You are not authorised to access this unlisted event."
NO_HOST = "The specified host could not be found."
TAKEN = "The following arguments conflict with those of another event: title."
NOT_APPROVED = "The event has not been approved or has been cancelled."
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def invalid(*names: str) -> str:
    return f"The following arguments have invalid values: {', '.join(names)}."


def missing(*names: str) -> str:
    return f"The following arguments are required, but have not been supplied: {', '.join(names)}."


async def a_form(person: Client, administrator: Client, **members: Any) -> dict[str, Any]:
    """All that registering takes."""
    return {
        "host": id_of(await make_host(person)),
        "type": "Standard",
        "title": unique("The Deep"),
        "description": "Under water",
        "category": (await make_category(administrator))["self"],
        "subcategory": "Soca",
        "public": True,
        "venue": (await make_venue(administrator))["self"],
    } | members


def changes(event: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The event as clients send it back."""
    kept = ("type", "title", "description", "subcategory", "public")
    return {
        **{name: event[name] for name in kept},
        "category": event["category"]["self"],
        "venue": event["venue"]["self"],
        **members,
    }


async def test_a_host_registers_an_event(administrator: Client, alice: Client, db: asyncpg.Connection) -> None:
    region = await make_region(administrator)
    host, category = await make_host(alice), await make_category(administrator)
    venue = await make_venue(administrator, region)
    title = unique("Dawn of the Seven Premier")
    registered = await alice.post(
        "/events",
        host=id_of(host),
        type="Standard",
        title=title,
        description="World premier",
        category=category["self"],
        subcategory="Jazz",
        public=True,
        venue=venue["self"],
        start="2034-06-07T20:00",
        end="9999-12-31T23:59:59.999Z",
        disclaimer="At your own risk",
        tags=["homelander", "A-Train", "homelander"],
    )
    assert registered.status == 201
    uri = registered["self"]
    assert registered.body == {
        "self": uri,
        "published": registered["published"],
        "title": title,
        "description": "World premier",
        "status": "Draft",
        "type": "Standard",
        "public": True,
        "featured": False,
        "host": host,
        "category": category,
        "subcategory": "Jazz",
        "start": "2034-06-07T20:00",
        "doors": "",
        "end": "9999-12-31T23:59:59.999Z",
        "venue": venue | {"region": region},
        "disclaimer": "At your own risk",
        "tags": ["homelander", "A-Train", "homelander"],
        "ticketsPerCustomer": None,
        "popularity": 0,
        "banner": f"http://tickets.test/media/banner/{uri.rsplit('/', 1)[1]}",
        "thumbnail": f"http://tickets.test/media/thumbnail/{uri.rsplit('/', 1)[1]}",
        "sections": [],
    }
    assert registered["published"].endswith("+00:00")
    assert (await alice.get(uri)).body == registered.body
    tokens = await alice.get(f"{uri}/tokens")
    assert [token["global"] for token in tokens["entries"]] == [True]
    acts = await db.fetch("SELECT action, account_id FROM history WHERE thing = $1", uri)
    assert [tuple(act) for act in acts] == [("event.registered", alice.id)]


async def test_what_is_left_out_is_empty(administrator: Client, alice: Client) -> None:
    registered = await alice.post("/events", await a_form(alice, administrator, tags=None, start=""))
    assert registered.status == 201
    assert [registered[name] for name in ("start", "end", "disclaimer", "tags")] == ["", "", "", []]


async def test_registration_says_all_that_is_missing_or_wrong(administrator: Client, alice: Client) -> None:
    nothing = await alice.post("/events", {})
    assert nothing.error == missing(
        "host", "type", "title", "description", "category", "subcategory", "public", "venue"
    )
    form = await a_form(alice, administrator)
    bare = {name: form[name] for name in ("host", "category", "venue")} | {"title": "", "public": None}
    assert (await alice.post("/events", bare)).error == missing("type", "title", "description", "subcategory", "public")
    wrong = form | {
        "type": "Party",
        "subcategory": "Opera",
        "public": "perhaps",
        "start": "2034-06-07T20:00",
        "end": "2034-06-07T19:00",
        "tags": "film",
    }
    assert (await alice.post("/events", wrong)).error == invalid("type", "subcategory", "public", "end", "tags")
    unknown = form | {"category": "/categories/1", "subcategory": "Opera", "venue": "/regions/1", "start": "soon"}
    assert (await alice.post("/events", unknown)).error == invalid("category", "venue", "start")
    assert (await alice.post("/events", form | {"host": ["x"]})).error == invalid("host")


async def test_an_end_is_compared_with_the_start_as_an_instant(administrator: Client, alice: Client) -> None:
    # The venue is four hours behind UTC: local 20:00 is midnight there.
    form = await a_form(alice, administrator, start="2034-06-07T20:00", end="2034-06-07T23:59Z")
    assert (await alice.post("/events", form)).error == invalid("end")
    assert (await alice.post("/events", form | {"end": "2034-06-08T00:00+00:00"})).status == 201


async def test_the_host_is_checked_first_then_who_asks_then_the_title(
    administrator: Client, alice: Client, bob: Client
) -> None:
    event = await make_event(alice, administrator)
    host = id_of(event["host"])
    for unknown in ("1", "x", "-", 1, 10**25, "9" * 500, "\x00"):
        refused = await alice.post("/events", host=unknown, title=event["title"])
        assert (refused.status, refused.error) == (404, NO_HOST)
    refused = await bob.post("/events", host=host, title=event["title"])
    assert (refused.status, refused.error) == (403, STRANGER)
    refused = await alice.post("/events", host=host, title=event["title"].upper())
    assert (refused.status, refused.error) == (409, TAKEN)
    assert (await administrator.post("/events", host=int(host))).status == 400


async def test_a_removed_host_registers_nothing_but_runs_its_events(administrator: Client, alice: Client) -> None:
    form = await a_form(alice, administrator)
    event = await alice.post("/events", form)
    assert (await alice.delete(f"/hosts/{form['host']}")).status == 200
    refused = await alice.post("/events", form | {"title": unique("Later")})
    assert (refused.status, refused.error) == (404, NO_HOST)
    assert (await alice.put(event["self"], changes(event.body, description="Still on"))).status == 200


async def test_hostile_bodies_are_refused(administrator: Client, alice: Client) -> None:
    form = await a_form(alice, administrator)
    for member, value in {
        "title": "a\x00b",
        "description": "x" * 50_000,
        "start": "10000-01-01T00:00",
        "end": "2034-02-30T00:00",
        "category": {"self": 1},
        "venue": "9" * 5000,
        "tags": [1],
        "disclaimer": 7,
    }.items():
        refused = await alice.post("/events", form | {member: value})
        assert (refused.status, refused.error) == (400, invalid(member))
    for raw in (b"", b"[]", b'{"title": "\\ud800"}', b"{" * 9, b"[" * 50_000):
        refused = await alice.send("POST", "/events", content=raw)
        assert refused.status == 400


async def test_put_replaces_keeps_and_clears(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator, disclaimer="Wet", tags=["film"])
    saved = await alice.put(event["self"], changes(event, title=unique("New"), public="false", start="", end=None))
    assert saved.status == 200
    assert saved.body == event | {"title": saved["title"], "public": False, "start": "", "end": ""}
    cleared = await alice.put(event["self"], changes(event, tags=[], disclaimer=""))
    assert (cleared["tags"], cleared["disclaimer"]) == ([], "")
    assert (await alice.put(event["self"], {})).error == missing(
        "type", "title", "description", "category", "subcategory", "public", "venue"
    )
    other = await make_event(alice, administrator)
    refused = await alice.put(event["self"], title=other["title"])
    assert (refused.status, refused.error) == (409, TAKEN)


async def test_a_new_end_is_compared_with_the_start_that_stands(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    assert (await alice.put(event["self"], changes(event, end="2034-06-07T19:00"))).error == invalid("end")
    assert (await alice.put(event["self"], changes(event, start="2034-06-08T00:00"))).error == invalid("end")


async def test_another_venue_is_another_zone(administrator: Client, alice: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await alice.post(f"{section_uri(event, section)}/prices", {"name": "Early", "price": 0, "to": "2034-01-01T00:00"})
    paris = await make_venue(administrator, longitude=2.3522, latitude=48.8566)
    assert (await alice.put(event["self"], changes(event, venue=paris["self"]))).status == 200
    row = await db.fetchrow(
        "SELECT event.starts_at::text, section.sales_start::text, price.closes_at::text FROM events event"
        " JOIN sections section ON section.event_id = event.id JOIN prices price ON price.section_id = section.id"
        " WHERE event.id = $1",
        int(id_of(event)),
    )
    assert row is not None
    assert [str(moment)[:16] for moment in row] == ["2034-06-07 18:00", "2023-12-31 23:00", "2033-12-31 23:00"]


async def test_only_administrators_feature_an_event(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator, featured=True)
    assert event["featured"] is False
    assert (await alice.put(event["self"], changes(event, featured=True)))["featured"] is False
    assert (await administrator.put(event["self"], changes(event, featured=True)))["featured"] is True
    assert (await alice.put(event["self"], changes(event, featured=False)))["featured"] is True


async def test_pictures_travel_in_bodies(administrator: Client, alice: Client, db: asyncpg.Connection) -> None:
    event = await make_event(alice, administrator, banner=PIXEL)

    async def kept() -> list[str]:
        rows = await db.fetch("SELECT kind FROM event_images WHERE event_id = $1 ORDER BY kind", int(id_of(event)))
        return [row["kind"] for row in rows]

    assert await kept() == ["banner"]
    assert (await alice.put(event["self"], changes(event, thumbnail=PIXEL))).status == 200
    assert await kept() == ["banner", "thumbnail"]
    assert (await alice.put(event["self"], changes(event, banner=""))).status == 200
    assert await kept() == ["thumbnail"]
    no_image = "data:image/png;base64," + base64.b64encode(b"not an image").decode()
    wrong = changes(event, type="Party", banner=no_image, thumbnail=7)
    assert (await alice.put(event["self"], wrong)).error == invalid("type", "banner", "thumbnail")
    served = await alice.http.get(event["thumbnail"])
    assert (served.status_code, served.headers["content-type"][:6]) == (200, "image/")


async def test_who_sees_an_event(
    administrator: Client, support: Client, alice: Client, bob: Client, public: Client
) -> None:
    event = await make_event(alice, administrator, public=False)
    uri = event["self"]
    code = (await alice.get(f"{uri}/tokens"))["entries"][0]["code"]
    gate = Client(alice.http, (await public.get(f"/tokens/{code}"))["key"])
    other = await make_event(alice, administrator)
    for person in (alice, support, administrator, gate):
        assert (await person.get(uri)).status == 200
    for stranger in (bob, public):
        refused = await stranger.get(uri)
        assert (refused.status, refused.error) == (403, UNLISTED)
    assert (await gate.get(other["self"])).status == 403
    await list_event(administrator, event)
    for person in (bob, public, gate):
        assert (await person.get(uri)).status == 200
    assert (await public.get("/published-events", title=event["title"]))["total"] == 0


async def test_what_is_no_event_is_not_found(administrator: Client, alice: Client) -> None:
    for segment in ("1", "undefined", "", "%00", "9" * 40, "%F0%9F%8E%AB", "1%2F2"):
        answer = await alice.get(f"/events/{segment}")
        assert answer.status == 404
    for answer in (
        await alice.put("/events/1", {}),
        await alice.delete("/events/1"),
        await alice.post("/events/1/publications"),
        await alice.post("/events/1/cancellations"),
        await alice.post("/events/1/submissions"),
    ):
        assert (answer.status, answer.body) == (404, GENERAL)


async def test_an_approved_event_is_unlisted_and_listed_again(
    administrator: Client, alice: Client, bob: Client, public: Client
) -> None:
    event = await make_event(alice, administrator)
    publications = f"{event['self']}/publications"
    for early in (await alice.post(publications), await alice.delete(publications)):
        assert (early.status, early.error) == (409, NOT_APPROVED)
    listed = await list_event(administrator, event)
    assert (await alice.delete(publications)).status == 200
    assert (await alice.get(event["self"]))["status"] == "Unlisted"
    assert (await public.get(event["self"])).error == UNLISTED
    assert (await bob.post(publications)).error == STRANGER
    assert (await alice.post(publications)).status == 200
    assert (await public.get(event["self"])).body == listed


async def test_a_cancelled_event_stays_cancelled(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await list_event(administrator, event)
    open_order = await sell(db, event, section, bob, held=900, cents=500)
    cancellations = f"{event['self']}/cancellations"
    assert (await bob.post(cancellations, reason="Mine")).error == STRANGER
    assert (await alice.post(cancellations)).error == missing("reason")
    cancelled = await alice.post(cancellations, reason="Rain")
    assert (cancelled.status, cancelled["status"]) == (200, "Cancelled")
    assert counts(cancelled["sections"][0]) == (0, 0, 10)
    assert await order_status(db, open_order) == "Cancelled"
    submitted = "The event has already been submitted or cancelled."
    for again in (
        await alice.post(cancellations, reason="Rain"),
        await alice.post(f"{event['self']}/submissions"),
    ):
        assert (again.status, again.error) == (409, submitted)
    for publication in (
        await alice.post(f"{event['self']}/publications"),
        await alice.delete(f"{event['self']}/publications"),
    ):
        assert (publication.status, publication.error) == (409, NOT_APPROVED)
    assert (await bob.get(event["self"])).error == UNLISTED


@breaks_by_hand
async def test_an_event_with_sold_tickets_is_not_removed(
    administrator: Client, alice: Client, bob: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    await sell(db, event, section, bob)
    assert (await bob.delete(event["self"])).error == STRANGER
    for person in (alice, administrator):
        refused = await person.delete(event["self"])
        assert (refused.status, refused.error) == (
            409,
            "An event cannot be deleted while it has sections with sold tickets.",
        )
    await alice.delete(section_uri(event, section))
    assert (await alice.delete(event["self"])).status == 200


async def test_a_removed_event_is_gone_with_its_holds_gates_and_submission(
    administrator: Client, alice: Client, bob: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    section = await make_section(alice, event)
    open_order = await sell(db, event, section, bob, held=900, cents=500)
    code = (await alice.get(f"{event['self']}/tokens"))["entries"][0]["code"]
    gate = Client(alice.http, (await public.get(f"/tokens/{code}"))["key"])
    submission = await alice.post(f"{event['self']}/submissions")
    assert (await gate.get(event["self"])).status == 200

    assert (await alice.delete(event["self"])).body == {"message": "The event was removed."}
    for answer in (await alice.get(event["self"]), await alice.delete(event["self"])):
        assert (answer.status, answer.body) == (404, GENERAL)
    assert await order_status(db, open_order) == "Cancelled"
    assert (await administrator.get(submission["self"])).status == 404
    assert (await administrator.delete(submission["self"], approved="true")).status == 404
    assert (await administrator.get("/events", title=event["title"]))["total"] == 0
    for thing in (event["venue"], event["category"], event["venue"]["region"]):
        assert (await administrator.delete(thing["self"])).status == 200
    assert (await make_event(alice, administrator, title=event["title"]))["title"] == event["title"]
