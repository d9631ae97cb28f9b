"""Submissions on the wire."""

import msgspec

from ticketing.hosts.schemas import Host
from ticketing.web.forms import Field, Form, boolean, text


class Change(msgspec.Struct):
    """What a member was, and what it is or, where changes are held back until then, will be when it is approved."""

    was: str
    becomes: str = msgspec.field(name="is")


class Submission(msgspec.Struct, rename="camel"):
    """Content that a host submitted for review; `self` ends in the base64 of the resource's URI.

    `changes` are those of an event that was approved before, by the names of its members.
    """

    uri: str = msgspec.field(name="self")
    type: str
    resource: str
    note: str
    host: Host
    submitted: str
    status: str
    changes: dict[str, Change] | msgspec.UnsetType = msgspec.UNSET


DECISION = Form(
    [
        Field("approved", boolean(), description="may stand in the query instead"),
        Field(
            "note",
            text(2_000, lines=True),
            required=False,
            description="told to the host; may stand in the query instead",
        ),
    ]
)
