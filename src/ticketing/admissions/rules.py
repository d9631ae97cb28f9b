"""Whether a ticket opens a gate; pure."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What a scan comes to; the reasons of refused ones are remembered under these names."""

    ADMITTED = "admitted"
    UNKNOWN = "unknown"
    OTHER_EVENT = "other event"
    WRONG_SECTION = "wrong section"
    VOIDED = "voided"
    IN_TRANSFER = "in transfer"
    ALREADY_ADMITTED = "already admitted"


class Scanned(NamedTuple):
    """The ticket that bears a scanned serial."""

    event: int
    section: int
    status: str


def judge(ticket: Scanned | None, event: int, sections: frozenset[int] | None) -> Verdict:
    """Whether the ticket opens the gate of these sections of the event (None: all of them), and if not, why."""
    if ticket is None:
        return Verdict.UNKNOWN
    if ticket.event != event:
        return Verdict.OTHER_EVENT
    if sections is not None and ticket.section not in sections:
        return Verdict.WRONG_SECTION
    return _OF_STATUS[ticket.status]


_OF_STATUS = {
    "Issued": Verdict.ADMITTED,
    "Voided": Verdict.VOIDED,
    "Pending": Verdict.IN_TRANSFER,
    "Redeemed": Verdict.ALREADY_ADMITTED,
}
