"""The ids of submissions: base64 of the URI of what was submitted, padding kept."""

import base64
import binascii

from ticketing.kit import ids


def submission_id(event_id: int) -> str:
    """The id of the submission of an event."""
    return base64.b64encode(f"/events/{event_id}".encode()).decode()


def submitted_event(segment: str) -> int | None:
    """The event whose submission has this id, or None when it cannot be one."""
    try:
        uri = base64.b64decode(segment, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return ids.parse_uri(uri, "events")
