"""Submissions over HTTP."""

from typing import Any

from ticketing.events.errors import AlreadySubmitted
from ticketing.events.queries import run_event
from ticketing.history import recording as history
from ticketing.hosts.errors import NotHostAdministrator
from ticketing.pictures.serving import media_url
from ticketing.web.errors import Taken
from ticketing.web.operations import Call, Operations, Reply, created, done
from ticketing.web.paging import Page

from . import actions, queries, rules
from .schemas import DECISION, Submission

operations = Operations("Reviewing Content")


@operations(
    "POST /events/{event}/submissions",
    answers=Submission,
    status=201,
    tag="Working with Events",
    errors=[NotHostAdministrator, AlreadySubmitted],
)
async def submit_event(call: Call) -> Reply:
    """Submit an event for review.

    Once an administrator approves it, the event is listed.
    """
    async with call.transaction() as db:
        event = await run_event(db, call.caller, call.path["event"])
        await actions.submit_event(db, call.new_id(), event, call.caller.account_id)
        await history.record(db, call.new_id(), call.caller, "event.submitted", event.uri)
        return created(await queries.get_submission(db, rules.submission_id(event.id), media_url(call)))


@operations("GET /submissions", answers=Page[Submission], listing=queries.SUBMISSIONS)
async def list_submissions(call: Call) -> Reply:
    """List submissions.

    Those that wait for a decision: events, and changes of events that were approved before.
    """
    media = media_url(call)
    async with call.reading() as db:
        return Reply(
            await queries.SUBMISSIONS.page(
                db, call.query, where=queries.PENDING, build=lambda row: queries.build_submission(row, media)
            )
        )


@operations("GET /submissions/{submission}", answers=Submission)
async def retrieve_submission(call: Call) -> Reply:
    """Retrieve submission details.

    As long as it waits for a decision. A change of an approved event tells in `changes` what it was and what it is.
    """
    async with call.reading() as db:
        return Reply(await queries.get_submission(db, call.path["submission"], media_url(call)))


@operations(
    "DELETE /submissions/{submission}",
    form=DECISION,
    errors=[Taken("event", {"title": "Dawn of the Seven Premier"})],
    filters={"approved": {"type": "boolean"}, "note": {"type": "string"}},
)
async def decide_on_submission(call: Call) -> Reply:
    """Decide on a submission.

    Approved content is listed; what is rejected is a draft again, and its host may submit it anew. A change that is
    rejected is undone; holders of tickets hear when dates or the place go back. The host is told.
    """
    async with call.transaction() as db:
        waiting = await actions.lock_submission(db, call.path["submission"])
        values = await DECISION.read(_said(call), db)
        approved: bool = values["approved"]
        await actions.decide(db, waiting, call.caller.account_id, approved=approved, note=values["note"])
        action = "submission.approved" if approved else "submission.rejected"
        await history.record(db, call.new_id(), call.caller, action, waiting.event.uri, note=values["note"])
    return done("The submission was approved." if approved else "The submission was rejected.")


def _said(call: Call) -> dict[str, Any]:
    """The decision: what the query says counts, and the body for the rest; it may be empty."""
    body = call.json() if call.body else {}
    return body | {name: text for name, text in call.query.items() if text and name in DECISION.by_name}
