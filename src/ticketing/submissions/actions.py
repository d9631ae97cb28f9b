"""Submitting events for review, and deciding about them."""

from ticketing.events.errors import AlreadySubmitted
from ticketing.events.queries import RunEvent
from ticketing.kit.database import Connection
from ticketing.kit.errors import NotFound
from ticketing.kit.letters import Letter, post

from .rules import submitted_event


async def submit_event(db: Connection, submission_id: int, event: RunEvent, account_id: int) -> None:
    """Submit a locked draft for review. Raises AlreadySubmitted."""
    if event.status != "Draft":
        raise AlreadySubmitted
    await db.execute(
        "INSERT INTO submissions (id, event_id, note, submitted_by, submitted_at, status)"
        " VALUES ($1, $2, $3, $4, clock(), 'Pending')",
        submission_id,
        event.id,
        f"New Event Submission: {event.title}",
        account_id,
    )
    await db.execute("UPDATE events SET status = 'Submitted' WHERE id = $1", event.id)


async def lock_submission(db: Connection, segment: str) -> int:
    """The event whose submission waits for a decision; both stay until the transaction ends. Raises NotFound."""
    event_id = submitted_event(segment)
    await db.execute("SELECT FROM events WHERE id = $1 FOR NO KEY UPDATE", event_id)
    found = await db.fetchval(
        "SELECT event_id FROM submissions WHERE event_id = $1 AND status = 'Pending' FOR UPDATE", event_id
    )
    if found is None:
        raise NotFound
    return int(found)


async def decide(db: Connection, event_id: int, account_id: int, *, approved: bool, note: str) -> None:
    """Approve what was submitted, which lists it, or hand it back as a draft."""
    submission_id = await db.fetchval(
        "UPDATE submissions SET status = $2, decided_by = $3, decided_at = clock(), decision_note = $4"
        " WHERE event_id = $1 AND status = 'Pending' RETURNING id",
        event_id,
        "Approved" if approved else "Rejected",
        account_id,
        note,
    )
    if approved:
        await db.execute(
            "UPDATE events SET status = 'Listed', approved = true, published_at = clock() WHERE id = $1", event_id
        )
    else:
        await db.execute("UPDATE events SET status = 'Draft' WHERE id = $1", event_id)
    await post(db, [Letter("submission_decided", about={"submission": submission_id})])
