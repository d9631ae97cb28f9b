"""What a scanner read: a serial that was typed or printed, or the signed payload of a QR code."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ticketing.kit.database import Connection
from ticketing.kit.identity import has_controls, is_visible
from ticketing.tickets import payloads
from ticketing.tickets.keys import find_public_keys

from .queries import clean_serial
from .rules import Verdict


class Read(NamedTuple):
    """The serial that was scanned; of a payload also the issue it claims, and why it is not believed, if it is not.

    `shown` is what is remembered of a refused scan: never a whole payload, for one may be good elsewhere.
    """

    serial: str
    shown: str
    issue: int | None = None
    refusal: Verdict | None = None


async def read_scans(db: Connection, scanned: Sequence[Any]) -> list[Read]:
    """What was scanned, in its order; signatures are verified with the keys of this server."""
    parsed = [payloads.parse(one) if is_readable(one) and payloads.is_payload(one) else None for one in scanned]
    keys = await find_public_keys(db, {one.key for one in parsed if one}) if any(parsed) else {}
    return [_read(one, payload, keys) for one, payload in zip(scanned, parsed, strict=True)]


def is_readable(scanned: Any) -> bool:
    """Whether it can be a serial or a payload: a text of one line in which something is to be seen."""
    return (
        isinstance(scanned, str)
        and len(scanned) <= MOST_SCANNED
        and is_visible(scanned)
        and not has_controls(scanned, lines=False)
    )


def _shown(scanned: Any) -> str:
    """The beginning of what can be no serial, "" where it is neither text nor number; control characters are `?`."""
    is_number = isinstance(scanned, int | float) and abs(scanned) < LARGEST_SHOWN
    text = str(scanned) if isinstance(scanned, str) or is_number else ""
    return "".join("?" if has_controls(letter, lines=False) else letter for letter in text[:MOST_SHOWN])


def _read(scanned: Any, payload: payloads.Payload | None, keys: dict[str, bytes]) -> Read:
    if not is_readable(scanned):
        return Read("", _shown(scanned), refusal=Verdict.UNREADABLE)
    if payload is None:
        if payloads.is_payload(scanned):
            return Read("", scanned[:MOST_SHOWN], refusal=Verdict.FORGED)
        return Read(clean_serial(scanned), scanned)
    serial, _event, issue = payload.claim
    if payload.key not in keys:
        return Read(serial, serial, issue, Verdict.UNKNOWN_KEY)
    if not payloads.is_signed(payload, keys):
        return Read(serial, serial, issue, Verdict.FORGED)
    return Read(serial, serial, issue)


MOST_SCANNED = 200  # letters; no serial and no payload has more
LARGEST_SHOWN = 10**18  # of a number
MOST_SHOWN = 40  # letters of what is no serial, or looks like a payload and is none
