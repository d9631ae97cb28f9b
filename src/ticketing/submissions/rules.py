"""The ids of submissions: base64 of the URI of what was submitted, padding kept.

An event that is submitted for the first time goes by its own URI. Each change of it has one of its own below that, so
that a decision concerns what was looked at; the event's own URI leads to whatever waits.
"""

import base64
import binascii

from ticketing.kit import ids


def submission_id(event_id: int, change_id: int | None = None) -> str:
    """The id of the submission of an event, or of a change of it."""
    change = "" if change_id is None else f"/changes/{change_id}"
    return base64.b64encode(f"/events/{event_id}{change}".encode()).decode()


def parse_submission(segment: str) -> tuple[int | None, int | None]:
    """The event that a submission with this id is about (None: it cannot be one), and the change if it names one."""
    try:
        uri = base64.b64decode(segment, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None, None
    of_event, names_change, change = uri.partition("/changes/")
    change_id = ids.parse(change) if names_change else None
    if names_change and change_id is None:
        return None, None
    return ids.parse_uri(of_event, "events"), change_id
