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
    HANDED_ON = "handed on"
    IN_TRANSFER = "in transfer"
    ALREADY_ADMITTED = "already admitted"
    DOORS_CLOSED = "doors closed"  # it will open this gate, but not yet
    FORGED = "forged"  # a payload that this server did not sign so
    UNKNOWN_KEY = "unknown key"  # a payload signed by another server, or with a key that is no longer trusted
    REISSUED = "reissued"  # a payload of the ticket as it was once issued, and no longer is
    UNREADABLE = "unreadable"  # what can be no serial and no payload: nothing, a number, a whole page of text


REASONS = [verdict.value for verdict in Verdict if verdict is not Verdict.ADMITTED]


RETIRED = "Retired"  # no status of a ticket: it has another serial, and another owner, since


class Scanned(NamedTuple):
    """The ticket that bears a scanned serial, or bore it.

    `is_current`: a payload that was scanned is that of its last issue.
    """

    event: int
    section: int
    status: str
    is_current: bool = True


def judge(ticket: Scanned | None, event: int, sections: frozenset[int] | None, *, doors_open: bool = True) -> Verdict:
    """Whether the ticket opens the gate of these sections of the event (None: all of them), and if not, why."""
    if ticket is None:
        return Verdict.UNKNOWN
    if ticket.event != event:
        return Verdict.OTHER_EVENT
    if sections is not None and ticket.section not in sections:
        return Verdict.WRONG_SECTION
    if not ticket.is_current:
        return Verdict.REISSUED
    verdict = _OF_STATUS[ticket.status]
    return Verdict.DOORS_CLOSED if verdict is Verdict.ADMITTED and not doors_open else verdict


_OF_STATUS = {
    "Issued": Verdict.ADMITTED,
    "Voided": Verdict.VOIDED,
    "Pending": Verdict.IN_TRANSFER,
    "Redeemed": Verdict.ALREADY_ADMITTED,
    RETIRED: Verdict.HANDED_ON,
}


GATES_OF_EVENT = 10  # so many gates of an event may store as much as one may; the others of that day are counted only


def room_for(stored: int, stored_of_event: int, most: int) -> int:
    """How many more refused scans of a day are stored, where one gate may store `most`; beyond it they are counted."""
    return max(0, min(most - stored, GATES_OF_EVENT * most - stored_of_event))
