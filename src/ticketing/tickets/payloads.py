"""What the QR code of a ticket carries: which ticket, of which event and issue, signed by this server; pure.

`TK1.KEY.SERIAL.EVENT.ISSUE.SIGNATURE`, in letters a QR code packs densely; docs/tickets.md describes it for gates.
"""

import base64
import re
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VERSION = "TK1"

_PAYLOAD = re.compile(
    rf"(?P<signed>{VERSION}\.(?P<key>[A-Z2-7]{{8}})\.(?P<serial>[0-9A-Z]{{6}}-[0-9A-Z]{{12}})"
    r"\.(?P<event>[1-9][0-9]{0,15})\.(?P<issue>[1-9][0-9]{0,11}))\.(?P<signature>[A-Z2-7]{103})"
)


class Claim(NamedTuple):
    """What a payload says: the serial, the event's id, and the moment of the issue in seconds since 1970."""

    serial: str
    event: int
    issue: int


class Payload(NamedTuple):
    """A well-formed payload; whether its claim is true, `is_signed` tells."""

    claim: Claim
    key: str
    signed: str
    signature: bytes


def sign(claim: Claim, key: str, private: Ed25519PrivateKey) -> str:
    """The payload of a ticket, signed with the key of that id."""
    signed = f"{VERSION}.{key}.{claim.serial}.{claim.event}.{claim.issue}"
    return f"{signed}.{_in_letters(private.sign(signed.encode()))}"


def is_payload(scanned: str) -> bool:
    """Whether what was scanned means to be a payload, rather than a serial."""
    return scanned.strip().upper().startswith(f"{VERSION}.")


def parse(scanned: str) -> Payload | None:
    """The parts of a payload, in any case; None for one that is malformed."""
    match = _PAYLOAD.fullmatch(scanned.strip().upper())
    if match is None:
        return None
    signature = base64.b32decode(match["signature"] + "=")
    if _in_letters(signature) != match["signature"]:  # its last letter has bits that stand for nothing
        return None
    claim = Claim(match["serial"], int(match["event"]), int(match["issue"]))
    return Payload(claim, match["key"], match["signed"], signature)


def is_signed(payload: Payload, keys: Mapping[str, bytes]) -> bool:
    """Whether one of these public keys (32 bytes each, by id) has signed it."""
    public = keys.get(payload.key)
    if public is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(payload.signature, payload.signed.encode())
    except InvalidSignature:
        return False
    return True


def _in_letters(signature: bytes) -> str:
    return base64.b32encode(signature).decode().rstrip("=")
