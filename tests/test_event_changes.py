"""Changes of events that were approved: in effect at once, or held back, until the desk decides."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from conftest import Client
from makers import id_of, list_event, make_event, make_venue
from ticketing.app import build_app
from ticketing.settings import Settings

MEMBERS = ("type", "title", "description", "subcategory", "public")
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)


def sent(event: Any, **changes: Any) -> dict[str, Any]:
    return {
        **{name: event[name] for name in MEMBERS},
        "category": event["category"]["self"],
        "venue": event["venue"]["self"],
        **changes,
    }


async def waiting(administrator: Client, event: Any) -> list[Any]:
    listed = await administrator.get("/submissions", type="event", records=500)
    return [one for one in listed["entries"] if one["resource"] == event["self"]]


async def test_a_change_is_in_effect_and_is_undone_when_it_is_turned_back(
    administrator: Client, alice: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await list_event(administrator, await make_event(alice, administrator))
    elsewhere = await make_venue(administrator)
    dates = {"start": "2034-07-01T20:00", "end": "", "doors": "2034-07-01T19:00"}
    changed = sent(event, title=event["title"] + " II", venue=elsewhere["self"], **dates)
    assert (await alice.put(event["self"], changed)).status == 200
    assert (await public.get(event["self"]))["title"] == event["title"] + " II"
    [submission] = await waiting(administrator, event)
    assert (submission["type"], submission["status"]) == ("event", "Pending")
    assert submission["changes"] == {
        "title": {"was": event["title"], "is": event["title"] + " II"},
        "venue": {"was": event["venue"]["self"], "is": elsewhere["self"]},
        "start": {"was": event["start"], "is": "2034-07-01T20:00"},
        "end": {"was": event["end"], "is": ""},
        "doors": {"was": "", "is": "2034-07-01T19:00"},
    }
    assert (await administrator.get(submission["self"])).body == submission
    # Another is folded in, under another id; the title may come back, so nobody takes it, and so may the venue.
    assert (await alice.put(event["self"], changed | {"description": "Another", "banner": PNG})).status == 200
    [folded] = await waiting(administrator, event)
    assert folded["self"] != submission["self"]
    assert set(folded["changes"]) == {"title", "description", "venue", "start", "end", "doors", "banner"}
    assert (await administrator.delete(submission["self"], approved="true")).status == 404
    for picture in folded["changes"]["banner"].values():
        path = picture.removeprefix("http://tickets.test")
        assert (await public.http.get(path)).headers["content-type"].startswith("image/")
    other = await make_event(alice, administrator)
    assert (await alice.put(other["self"], sent(other, title=event["title"]))).status == 409
    assert (await administrator.delete(event["venue"]["self"])).status == 409
    assert (await administrator.delete(folded["self"], approved="false", note="No")).status == 200
    after = (await public.get(event["self"])).body
    assert {**after, "published": ""} == {**event, "published": ""}
    assert await waiting(administrator, event) == []
    images = "SELECT (SELECT count(*) FROM event_images WHERE event_id = $1) + (SELECT count(*) FROM submission_images)"
    assert await db.fetchval(images, int(id_of(event))) == 0
    posted = await db.fetch("SELECT letter FROM mails WHERE letter IN ('submission_decided', 'event_changed')")
    assert len(posted) >= 4


async def test_what_is_changed_back_or_not_promised_needs_no_decision(administrator: Client, alice: Client) -> None:
    event = await list_event(administrator, await make_event(alice, administrator))
    assert (await alice.put(event["self"], sent(event, tags=["new"], disclaimer="Loud"))).status == 200
    assert await waiting(administrator, event) == []
    await alice.put(event["self"], sent(event, description="Other"))
    assert len(await waiting(administrator, event)) == 1
    await alice.put(event["self"], sent(event))
    assert await waiting(administrator, event) == []
    # What administrators change is approved by that; nor does unlisting it help.
    await administrator.put(event["self"], sent(event, description="By us"))
    assert await waiting(administrator, event) == []
    await alice.delete(f"{event['self']}/publications")
    await alice.put(event["self"], sent(event, description="Quite another"))
    [submission] = await waiting(administrator, event)
    assert submission["changes"] == {"description": {"was": "By us", "is": "Quite another"}}
    assert (await administrator.delete(submission["self"], approved="true")).status == 200
    assert (await alice.get(event["self"]))["description"] == "Quite another"
    # A draft is nobody's business.
    draft = await make_event(alice, administrator)
    await alice.put(draft["self"], sent(draft, description="Other"))
    assert await waiting(administrator, draft) == []


@pytest.mark.parametrize("approved", ["true", "false"])
async def test_changes_are_held_back_where_the_platform_says_so(
    administrator: Client, alice: Client, settings: Settings, approved: str
) -> None:
    import httpx

    event = await list_event(administrator, await make_event(alice, administrator))
    edge = build_app(replace(settings, hold_back_changes="on"))
    async with edge.app.router.lifespan_context(edge.app):
        transport = httpx.ASGITransport(app=edge, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tickets.test") as http:
            host = replace(alice, http=http)
            dates = {"start": "2034-07-01T20:00", "end": "2034-07-01T23:00", "doors": "2034-07-01T19:00"}
            changed = sent(event, description="Other", banner=PNG, tags=["new"], **dates)
            answer = await host.put(event["self"], changed)
            assert (answer.status, answer["description"], answer["tags"]) == (200, event["description"], ["new"])
            [submission] = await waiting(administrator, event)
            assert submission["changes"]["description"] == {"was": event["description"], "is": "Other"}
            assert set(submission["changes"]) == {"description", "start", "end", "doors", "banner"}
            assert (answer["start"], answer["doors"]) == (event["start"], "")
            # What waits is what other members are weighed against.
            assert (
                await host.put(event["self"], sent(event, description="Other", doors="2034-07-02T19:00"))
            ).status == 400
            assert (
                await host.put(event["self"], sent(event, description="Other", doors="2034-07-01T18:00"))
            ).status == 200
            [submission] = await waiting(administrator, event)
            assert (await administrator.delete(submission["self"], approved=approved)).status == 200
    expected = "Other" if approved == "true" else event["description"]
    after = await alice.get(event["self"])
    assert after["description"] == expected
    assert after["doors"] == ("2034-07-01T18:00" if approved == "true" else "")
