"""Submissions: what hosts put forward, and the decision on it."""

import base64

import asyncpg
import pytest

from conftest import Client
from makers import id_of, make_event
from ticketing.submissions.rules import parse_submission, submission_id

GENERAL = {"error": "There is presently no resource with the given URI."}
ALREADY = "The event has already been submitted or cancelled."
RESTRICTED = {"message": "You are restricted from accessing this resource."}


def test_a_submission_goes_by_the_base64_of_what_was_submitted() -> None:
    assert submission_id(123) == base64.b64encode(b"/events/123").decode() == "L2V2ZW50cy8xMjM="
    assert parse_submission("L2V2ZW50cy8xMjM=") == (123, None)
    assert parse_submission(submission_id(123, 456)) == (123, 456)


@pytest.mark.parametrize(
    "segment", ["", "123", "L2V2ZW50cy8xMjM", "L2hvc3RzLzEyMw==", "\x00", "é", "=" * 900, "/w==", submission_id(1, -2)]
)
def test_other_texts_are_no_submission(segment: str) -> None:
    assert parse_submission(segment) == (None, None)


async def test_a_draft_is_submitted_once(administrator: Client, alice: Client, bob: Client) -> None:
    event = await make_event(alice, administrator)
    uri = f"{event['self']}/submissions"
    refused = await bob.post(uri)
    assert (refused.status, refused.error) == (
        403,
        "This account is not an administrator for the relevant event host.",
    )
    submitted = await alice.post(uri)
    assert submitted.status == 201
    assert submitted.body == {
        "self": f"/submissions/{base64.b64encode(event['self'].encode()).decode()}",
        "type": "event",
        "resource": event["self"],
        "note": f"New Event Submission: {event['title']}",
        "host": event["host"],
        "submitted": submitted["submitted"],
        "status": "Pending",
    }
    assert (await alice.get(event["self"]))["status"] == "Submitted"
    again = await alice.post(uri)
    assert (again.status, again.error) == (409, ALREADY)
    assert (await administrator.get(submitted["self"])).body == submitted.body
    waiting = await administrator.get("/submissions", type="event", records=500)
    assert submitted.body in waiting["entries"]


async def test_an_approved_event_is_listed_and_published(
    administrator: Client, alice: Client, public: Client, db: asyncpg.Connection
) -> None:
    event = await make_event(alice, administrator)
    await db.execute("UPDATE events SET published_at = '2020-01-01' WHERE id = $1", int(id_of(event)))
    submission = await alice.post(f"{event['self']}/submissions")
    decided = await administrator.delete(submission["self"], {}, approved="true", note="Good")
    assert (decided.status, decided.body) == (200, {"message": "The submission was approved."})
    listed = await public.get(event["self"])
    assert (listed.status, listed["status"]) == (200, "Listed")
    assert listed["published"] > "2026"
    for gone in (
        await administrator.get(submission["self"]),
        await administrator.delete(submission["self"], approved="false"),
    ):
        assert (gone.status, gone.body) == (404, GENERAL)
    assert (await alice.post(f"{event['self']}/submissions")).error == ALREADY
    row = await db.fetchrow(
        "SELECT status, decision_note, decided_by FROM submissions WHERE event_id = $1", int(id_of(event))
    )
    assert row is not None
    assert tuple(row) == ("Approved", "Good", administrator.id)


async def test_a_rejected_event_is_a_draft_again(administrator: Client, alice: Client, public: Client) -> None:
    event = await make_event(alice, administrator)
    submission = await alice.post(f"{event['self']}/submissions")
    decided = await administrator.delete(submission["self"], {"approved": False, "note": "Which hall?"})
    assert (decided.status, decided.body) == (200, {"message": "The submission was rejected."})
    assert (await alice.get(event["self"]))["status"] == "Draft"
    assert (await public.get(event["self"])).status == 403
    assert (await alice.post(f"{event['self']}/submissions")).status == 201


async def test_the_query_counts_before_the_body(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    submission = await alice.post(f"{event['self']}/submissions")
    assert (await administrator.delete(submission["self"], {"approved": True}, approved="false")).status == 200
    assert (await alice.get(event["self"]))["status"] == "Draft"


async def test_a_decision_has_to_be_one(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    uri = (await alice.post(f"{event['self']}/submissions"))["self"]
    for undecided in (
        await administrator.delete(uri),
        await administrator.delete(uri, {}),
        await administrator.delete(uri, {"approved": ""}, approved=""),
    ):
        assert (undecided.status, undecided.error) == (
            400,
            "The following arguments are required, but have not been supplied: approved.",
        )
    refused = await administrator.delete(uri, approved="perhaps", note="\x00")
    assert refused.error == "The following arguments have invalid values: approved, note."
    assert (await administrator.send("DELETE", uri, content=b"{")).status == 400
    assert (await administrator.get(uri))["status"] == "Pending"


async def test_only_administrators_decide(administrator: Client, support: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    uri = (await alice.post(f"{event['self']}/submissions"))["self"]
    for person in (alice, support):
        for answer in (
            await person.get("/submissions"),
            await person.get(uri),
            await person.delete(uri, approved="true"),
        ):
            assert (answer.status, answer.body) == (403, RESTRICTED)


async def test_a_cancelled_event_is_no_longer_to_be_decided(administrator: Client, alice: Client) -> None:
    event = await make_event(alice, administrator)
    uri = (await alice.post(f"{event['self']}/submissions"))["self"]
    await alice.post(f"{event['self']}/cancellations", reason="Rain")
    assert (await administrator.delete(uri, approved="true")).status == 404
    assert (await alice.get(event["self"]))["status"] == "Cancelled"


async def test_submissions_are_filtered_by_type(administrator: Client) -> None:
    assert (await administrator.get("/submissions", type="event")).status == 200
    refused = await administrator.get("/submissions", type="host")
    assert refused.error == "The following arguments have invalid values: type."
    for segment in ("1", "bm9wZQ==", "%00", "undefined", "L2V2ZW50cy8x"):
        assert (await administrator.get(f"/submissions/{segment}")).body == GENERAL
