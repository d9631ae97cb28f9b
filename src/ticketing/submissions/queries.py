"""Reading submissions: those that wait for a decision."""

from typing import Any

import msgspec

from ticketing.events.changes import MEMBERS
from ticketing.hosts.queries import COLUMNS as HOST_COLUMNS
from ticketing.hosts.queries import build_host
from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.web.errors import NotFound
from ticketing.web.paging import Listing, one_of

from .rules import parse_submission, submission_id
from .schemas import Change, Submission

_COLUMNS = f"""
submission.id, submission.event_id, submission.note, submission.submitted_at, submission.status, submission.is_change,
submission.held_back, {HOST_COLUMNS},
submission.title AS aside_title, submission.description AS aside_description, submission.venue_id AS aside_venue,
submission.start_text AS aside_start, submission.end_text AS aside_end, submission.doors_text AS aside_doors,
event.title AS standing_title, event.description AS standing_description, event.venue_id AS standing_venue,
event.start_text AS standing_start, event.end_text AS standing_end, event.doors_text AS standing_doors,
ARRAY(SELECT kind FROM submission_images WHERE submission_id = submission.id ORDER BY kind) AS pictures_aside"""
_SOURCE = """
submissions submission
JOIN events event ON event.id = submission.event_id
JOIN hosts host ON host.id = event.host_id"""


def build_submission(row: Row, media: str) -> Submission:
    """A submission as the API shows it; `media` is where images are served."""
    event_id = row["event_id"]
    return Submission(
        uri=f"/submissions/{submission_id(event_id, row['id'] if row['is_change'] else None)}",
        type="event",
        resource=f"/events/{event_id}",
        note=row["note"],
        host=build_host(row),
        submitted=clock.stamp(row["submitted_at"]),
        status=row["status"],
        changes=_changes(row, media) if row["is_change"] else msgspec.UNSET,
    )


def _changes(row: Row, media: str) -> dict[str, Change]:
    """What the event was and is; held back, what it is and is to be."""
    pairs = {
        name: (_shown(name, row[f"aside_{name}"]), _shown(name, row[f"standing_{name}"]))
        for name in MEMBERS
        if row[f"aside_{name}"] is not None
    }
    for kind in row["pictures_aside"]:
        pairs[kind] = (f"{media}/aside/{row['id']}/{kind}", f"{media}/{kind}/{row['event_id']}")
    return {
        name: Change(standing, aside) if row["held_back"] else Change(aside, standing)
        for name, (aside, standing) in pairs.items()
    }


def _shown(name: str, value: Any) -> str:
    return f"/venues/{value}" if name == "venue" else str(value)


def _unbuilt(_row: Row) -> Submission:
    raise RuntimeError("submissions are built for a request; hand `build` to `page`")


SUBMISSIONS: Listing[Submission] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="submission.id",
    build=_unbuilt,
    # The one type there is.
    filters={"type": one_of("'event'", {"event": "event"})},
)

PENDING = "submission.status = 'Pending'"


async def get_submission(db: Connection, segment: str, media: str) -> Submission:
    """The submission with this id, as long as it waits. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE submission.event_id = $1 AND {PENDING}"
        " AND ($2::bigint IS NULL OR submission.id = $2 AND submission.is_change)",
        *parse_submission(segment),
    )
    if row is None:
        raise NotFound
    return build_submission(row, media)
