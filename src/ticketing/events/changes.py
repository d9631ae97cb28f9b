"""Changes of what an approved event promises: its title, description, pictures, place and dates.

Its host may change all of it, and then it is no longer what was approved. So the desk looks at such a change as it
looked at the event: what it approves stays, what it turns back is undone. Until then the change is in effect and what
the event was stands aside; or, with the setting, the other way round. One submission waits for each event: another
change is folded in, under a new id, so that nobody decides about what he has not seen.
"""

from dataclasses import dataclass
from typing import Any

from ticketing.kit.database import Connection, Row
from ticketing.kit.identity import identity
from ticketing.pictures.decoding import Kind, Picture
from ticketing.venues.queries import find_venue

from .actions import ensure_title_free, update_event
from .pictures import KINDS, PictureChanges, keep_pictures
from .queries import RunEvent

_WAITING = """
SELECT id, held_back, title, description, venue_id AS venue, start_text AS start, end_text AS "end",
       doors_text AS doors,
       ARRAY(SELECT kind FROM submission_images WHERE submission_id = submissions.id) AS pictures
  FROM submissions WHERE event_id = $1 AND status = 'Pending' AND is_change"""

_STANDS = """
SELECT title, description, venue_id AS venue, start_text AS start, end_text AS "end", doors_text AS doors
  FROM events WHERE id = $1"""

# In the order of the columns of _WRITE.
MEMBERS = ("title", "description", "venue", "start", "end", "doors")

_WRITE = """
INSERT INTO submissions (id, event_id, note, submitted_by, submitted_at, status, is_change, held_back,
                         title, description, venue_id, start_text, end_text, doors_text, title_key)
VALUES ($1, $2, $3, $4, clock(), 'Pending', true, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (event_id) WHERE status = 'Pending' DO UPDATE
   SET id = excluded.id, note = excluded.note, submitted_by = excluded.submitted_by,
       submitted_at = excluded.submitted_at, title = excluded.title, description = excluded.description,
       venue_id = excluded.venue_id, start_text = excluded.start_text, end_text = excluded.end_text,
       doors_text = excluded.doors_text, title_key = excluded.title_key"""

WITHDRAW = (
    "UPDATE submissions SET status = 'Withdrawn', decided_at = clock() WHERE event_id = $1 AND status = 'Pending'"
)

FORGET_PICTURES = """
DELETE FROM submission_images USING submissions
 WHERE submissions.id = submission_id AND submissions.event_id = $1"""

_WRITE_PICTURE = """
INSERT INTO submission_images (submission_id, kind, content_type, etag, content) VALUES ($1, $2, $3, $4, $5)"""

Values = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a PUT means for an approved event: what takes effect now, and what stands aside then.

    `is_news` says that the desk has something new before it, or nothing any more.
    """

    values: Values
    pictures: PictureChanges
    aside: Values
    held_back: bool
    is_news: bool


DATES = ("start", "end", "doors")


async def waiting_dates(db: Connection, event: RunEvent) -> dict[str, str]:
    """The DATES that a PUT without any leaves as they are: those that wait to take effect, else those that stand."""
    waiting = await db.fetchrow(_WAITING, event.id)
    aside = {name: waiting[name] for name in DATES if waiting[name] is not None} if waiting else {}
    stands = {"start": event.start, "end": event.end, "doors": event.doors}
    return stands | aside if waiting and waiting["held_back"] else stands


async def weigh(
    db: Connection,
    event: RunEvent,
    values: Values,
    pictures: PictureChanges,
    *,
    by_administrator: bool,
    holds_back: bool,
) -> Change:
    """What the values and pictures of a PUT mean for a locked, approved event.

    A change that waits stays of the kind it is. What an administrator changes is approved by that.
    """
    waiting = await db.fetchrow(_WAITING, event.id)
    held_back = waiting["held_back"] if waiting else holds_back
    aside = await _read_aside(db, waiting) if waiting else {}
    standing: Values = dict(await db.fetchrow(_STANDS, event.id) or {})
    standing |= {kind: await _image(db, _IMAGE, event.id, kind) for kind in pictures.wanted}
    given: Values = {name: values[name] for name in MEMBERS if name in values} | pictures.wanted
    if "venue" in given:
        given["venue"] = given["venue"].id
    deferring = held_back and not by_administrator
    after = put_aside(standing, aside, given, deferring=deferring, approving=by_administrator)
    is_changed = not by_administrator and not deferring and any(given[name] != standing[name] for name in given)
    return Change(
        {name: value for name, value in values.items() if not (deferring and name in MEMBERS)},
        PictureChanges() if deferring else pictures,
        after,
        held_back,
        is_changed or after != aside,
    )


def put_aside(standing: Values, aside: Values, given: Values, *, deferring: bool, approving: bool) -> Values:
    """What stands aside after what stands was changed to what is given.

    `deferring`: what is given waits aside, as far as it differs. `approving`: it takes effect for good, and what it
    changes has nothing aside any more. Else it takes effect, and what there was at first is aside until it is so again.
    """
    after = dict(aside)
    for name, wanted in given.items():
        if approving:
            if wanted != standing[name]:
                after.pop(name, None)
            continue
        at_first = standing[name] if deferring else aside.get(name, standing[name])
        if wanted == at_first:
            after.pop(name, None)
        else:
            after[name] = wanted if deferring else at_first
    return after


async def submit_change(db: Connection, event: RunEvent, change: Change, submission_id: int, account_id: int) -> None:
    """Put the change before the desk, in place of one that waits, or take that one back when nothing is left of it."""
    await db.execute(FORGET_PICTURES, event.id)
    if not change.aside:
        await db.execute(WITHDRAW, event.id)
        return
    title = change.aside.get("title")
    await db.execute(
        _WRITE,
        submission_id,
        event.id,
        f"Event Change Submission: {change.values.get('title', event.title)}",
        account_id,
        change.held_back,
        *(change.aside.get(name) for name in MEMBERS),
        None if title is None else identity(title),
    )
    for kind in KINDS:
        if kind in change.aside:
            await db.execute(_WRITE_PICTURE, submission_id, kind, *_columns(change.aside[kind]))


async def bring_back(db: Connection, event: RunEvent) -> None:
    """Let the event be what stands aside; whoever holds tickets hears of other dates and another place.

    Raises Taken when another event has taken the title since this one was over.
    """
    waiting = await db.fetchrow(_WAITING, event.id)
    if waiting is None:
        return
    aside = await _read_aside(db, waiting)
    await ensure_title_free(db, aside.get("title"), but=event.id)
    values = {name: aside[name] for name in MEMBERS if name in aside}
    if "venue" in values:
        values["venue"] = await find_venue(db, values["venue"])
    await update_event(db, event, values)
    await keep_pictures(db, event.id, PictureChanges({kind: aside[kind] for kind in KINDS if kind in aside}))


_IMAGE = "SELECT content, content_type, etag FROM event_images WHERE event_id = $1 AND kind = $2"
_IMAGE_ASIDE = "SELECT content, content_type, etag FROM submission_images WHERE submission_id = $1 AND kind = $2"


async def _read_aside(db: Connection, waiting: Row) -> Values:
    aside: Values = {name: waiting[name] for name in MEMBERS if waiting[name] is not None}
    return aside | {kind: await _image(db, _IMAGE_ASIDE, waiting["id"], kind) for kind in waiting["pictures"]}


async def _image(db: Connection, statement: str, thing: int, kind: Kind) -> Picture | None:
    row = await db.fetchrow(statement, thing, kind)
    return Picture(row["content"], row["content_type"], row["etag"]) if row and row["etag"] else None


def _columns(picture: Picture | None) -> tuple[str | None, str | None, bytes | None]:
    return (picture.content_type, picture.etag, picture.body) if picture else (None, None, None)
