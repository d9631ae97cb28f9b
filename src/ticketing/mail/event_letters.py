"""Letters about events: to those who hold tickets, and to those who run them."""

from .content import Compose, Content, Desk
from .happenings import find_before, find_happenings, tell_apart
from .rendering import title, unlinked, words

_HELD = """
SELECT count(*)::int FROM tickets ticket
 WHERE owner_id = $1 AND event_id = $2 AND (status <> 'Voided' OR changed_at >= $3)
   AND (issued_at <= $3 OR EXISTS (
        SELECT FROM retired_serials former WHERE former.ticket_id = ticket.id AND former.issued_at <= $3))
   AND ($4::bigint IS NULL OR section_id = $4)"""

_SUBMISSION = """
SELECT submission.event_id, submission.status, submission.decision_note, submission.is_change
  FROM submissions submission WHERE submission.id = $1"""


async def _about_event(desk: Desk) -> Content | None:
    """`event`, and how many tickets the recipient held when it was posted."""
    found = await find_happenings(desk.db, [desk.about["event"]])
    if not found:
        return None
    section = desk.about.get("section")
    count = await desk.db.fetchval(_HELD, desk.person.id, desk.about["event"], desk.posted_at, section)
    return Content({"event": found[0], "count": count})


async def _event_cancelled(desk: Desk) -> Content | None:
    """Also `reason`, in the words of who cancelled it."""
    content = await _about_event(desk)
    if content is None:
        return None
    reason = await desk.db.fetchval("SELECT cancellation_reason FROM events WHERE id = $1", desk.about["event"])
    return Content({**content.facts, "reason": unlinked(words(reason))})


async def _event_changed(desk: Desk) -> Content | None:
    """Also `before`, the event as it was; nothing to say when it has been changed back."""
    content = await _about_event(desk)
    if content is None:
        return None
    event = content.facts["event"]
    event, before = tell_apart(event, await find_before(desk.db, event, desk.about))
    if (before.when, before.where) == (event.when, event.where):
        return None
    return Content({**content.facts, "event": event, "before": before}, tickets_to=event.id)


async def _tickets_voided(desk: Desk) -> Content | None:
    """What somebody else bought, handed on and was given back."""
    found = await find_happenings(desk.db, [desk.about["event"]])
    return Content({"event": found[0], "count": desk.about["count"]}) if found else None


async def _section_removed(desk: Desk) -> Content | None:
    content = await _about_event(desk)
    section = await desk.db.fetchval("SELECT name FROM sections WHERE id = $1", desk.about["section"])
    if content is None or section is None:
        return None
    return Content({**content.facts, "section": title(section)})


async def _submission_decided(desk: Desk) -> Content | None:
    row = await desk.db.fetchrow(_SUBMISSION, desk.about["submission"])
    if row is None or row["status"] not in ("Approved", "Rejected"):
        return None
    found = await find_happenings(desk.db, [row["event_id"]])
    return Content(
        {
            "event": found[0],
            "approved": row["status"] == "Approved",
            "changed": row["is_change"],
            "note": words(row["decision_note"]),
        }
    )


COMPOSERS: dict[str, Compose] = {
    "event_cancelled": _event_cancelled,
    "event_changed": _event_changed,
    "section_removed": _section_removed,
    "tickets_voided": _tickets_voided,
    "submission_decided": _submission_decided,
}
