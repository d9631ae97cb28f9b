"""Submitting events for review, and deciding about them and about their changes."""

from dataclasses import dataclass

from ticketing.events.changes import FORGET_PICTURES, bring_back
from ticketing.events.errors import AlreadySubmitted
from ticketing.events.queries import RunEvent, lock_event
from ticketing.kit.database import Connection
from ticketing.letters.posting import Letter, post
from ticketing.web.errors import NotFound

from .rules import parse_submission


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A submission that waits for a decision; of a change, `held_back` says that it has not taken effect yet."""

    id: int
    event: RunEvent
    is_change: bool
    held_back: bool


async def lock_submission(db: Connection, segment: str) -> Waiting:
    """The submission with this id, waiting for a decision; it and its event stay until the transaction ends.

    Raises NotFound.
    """
    event_id, change_id = parse_submission(segment)
    if event_id is None:
        raise NotFound
    event = await lock_event(db, event_id)
    row = await db.fetchrow(
        "SELECT id, is_change, held_back FROM submissions WHERE event_id = $1 AND status = 'Pending'"
        " AND ($2::bigint IS NULL OR id = $2 AND is_change) FOR UPDATE",
        event_id,
        change_id,
    )
    if row is None:
        raise NotFound
    return Waiting(row["id"], event, row["is_change"], row["held_back"])


async def decide(db: Connection, waiting: Waiting, account_id: int, *, approved: bool, note: str) -> None:
    """Approve what was submitted, which lists it, or hand it back as a draft; let a change be, or undo it.

    Raises Taken when a change cannot be undone (or done), since another event has its title by now.
    """
    if waiting.is_change:
        if approved == waiting.held_back:
            await bring_back(db, waiting.event)
        await db.execute(FORGET_PICTURES, waiting.event.id)
    elif approved:
        await db.execute(
            "UPDATE events SET status = 'Listed', approved = true, published_at = clock() WHERE id = $1",
            waiting.event.id,
        )
    else:
        await db.execute("UPDATE events SET status = 'Draft' WHERE id = $1", waiting.event.id)
    await db.execute(
        "UPDATE submissions SET status = $2, decided_by = $3, decided_at = clock(), decision_note = $4 WHERE id = $1",
        waiting.id,
        "Approved" if approved else "Rejected",
        account_id,
        note,
    )
    await post(db, [Letter("submission_decided", about={"submission": waiting.id})])
