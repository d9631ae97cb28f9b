"""What a scanner read: a serial that was typed or printed, or the signed payload of a QR code."""

from collections.abc import Sequence
from typing import NamedTuple

from ticketing.kit.database import Connection
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


async def read_scans(db: Connection, scanned: Sequence[str]) -> list[Read]:
    """What was scanned, in its order; signatures are verified with the keys of this server."""
    parsed = [payloads.parse(one) if payloads.is_payload(one) else None for one in scanned]
    keys = await find_public_keys(db, {one.key for one in parsed if one}) if any(parsed) else {}
    return [_read(one, payload, keys) for one, payload in zip(scanned, parsed, strict=True)]


def _read(scanned: str, payload: payloads.Payload | None, keys: dict[str, bytes]) -> Read:
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


MOST_SHOWN = 40  # letters of what looks like a payload and is none
