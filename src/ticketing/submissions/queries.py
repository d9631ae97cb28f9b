"""Reading submissions: those that wait for a decision."""

from ticketing.hosts.queries import COLUMNS as HOST_COLUMNS
from ticketing.hosts.queries import build_host
from ticketing.kit import clock
from ticketing.kit.database import Connection, Row
from ticketing.kit.errors import NotFound
from ticketing.kit.paging import Listing, one_of

from .rules import submission_id, submitted_event
from .schemas import Submission

_COLUMNS = f"submission.event_id, submission.note, submission.submitted_at, submission.status, {HOST_COLUMNS}"
_SOURCE = """
submissions submission
JOIN events event ON event.id = submission.event_id
JOIN hosts host ON host.id = event.host_id"""


def build_submission(row: Row) -> Submission:
    """A submission as the API shows it."""
    event_id = row["event_id"]
    return Submission(
        uri=f"/submissions/{submission_id(event_id)}",
        type="event",
        resource=f"/events/{event_id}",
        note=row["note"],
        host=build_host(row),
        submitted=clock.stamp(row["submitted_at"]),
        status=row["status"],
    )


SUBMISSIONS: Listing[Submission] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="submission.id",
    build=build_submission,
    # The one type there is.
    filters={"type": one_of("'event'", {"event": "event"})},
)

PENDING = "submission.status = 'Pending'"


async def get_submission(db: Connection, segment: str) -> Submission:
    """The submission with this id, as long as it waits. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE submission.event_id = $1 AND {PENDING}", submitted_event(segment)
    )
    if row is None:
        raise NotFound
    return build_submission(row)
