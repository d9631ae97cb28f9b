"""Submissions on the wire."""

import msgspec

from ticketing.hosts.schemas import Host
from ticketing.kit.forms import Field, Form, boolean, text


class Submission(msgspec.Struct, rename="camel"):
    """Content that a host submitted for review; `self` ends in the base64 of the resource's URI."""

    uri: str = msgspec.field(name="self")
    type: str
    resource: str
    note: str
    host: Host
    submitted: str
    status: str


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
