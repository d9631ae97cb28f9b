"""Letters to people: posted in the transaction that causes them, sent by the worker afterwards.

What is rolled back was never posted; what is committed is sent, also after a crash or a night without a mail server.
A letter says who gets it and which things it is about, by id. Its text is written when it is sent, from what the
database says then, so that no address and no name waits in a queue.

    await post(db, [Letter("order_fulfilled", account=customer_id, about={"order": order_id})])
    await post(db, [Letter("reset", account=account_id, sealed=seal(vault, {"code": "123456"}))])

A letter outlives its sending (what was sent to whom, and once), and each kind has a lane: nobody's code waits for the
tickets of a hundred orders to be printed, or for two hundred thousand letters about one cancelled event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec

from ticketing.kit.database import Connection, Row
from ticketing.kit.sealed import Sealed, Values
from ticketing.kit.vault import Vault

Name = Literal[
    "welcome",
    "verification",
    "reset",
    "sign_in",
    "password_changed",
    "codes_exhausted",
    "email_changed",
    "deactivated",
    "deletion_requested",
    "order_fulfilled",
    "order_timed_out",
    "refund",
    "payment_returned",
    "transfer_received",
    "transfer_claimed",
    "transfer_cancelled",
    "event_cancelled",
    "event_changed",
    "section_removed",
    "tickets_voided",
    "submission_decided",
    "host_invitation",
]


class Lane(StrEnum):
    """What a letter waits behind: those of its own lane, and of the lanes that its postman empties first."""

    SECURITY = "security"  # codes, and what an owner must know at once
    PLAIN = "plain"
    TICKETS = "tickets"  # with tickets attached, which take their time to print
    CROWD = "crowd"  # to all who hold a ticket
    CROWD_TICKETS = "crowd_tickets"  # to all who hold a ticket, with the new one


@dataclass(frozen=True)
class Kind:
    """What a letter of one name must carry: the things it is `about`, and the secrets that are sealed in it.

    One that goes `to_all` has no account: the worker finds everybody whom it concerns.
    """

    lane: Lane = Lane.PLAIN
    about: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()
    to_all: bool = False


KINDS: dict[Name, Kind] = {
    "welcome": Kind(),
    "verification": Kind(Lane.SECURITY, sealed=("code",)),
    "reset": Kind(Lane.SECURITY, sealed=("code",)),
    # Maybe to a STRANGER.
    "sign_in": Kind(Lane.SECURITY, sealed=("code", "email")),
    "password_changed": Kind(Lane.SECURITY, about=("by",)),
    "codes_exhausted": Kind(Lane.SECURITY),
    # To the address that is no longer the account's.
    "email_changed": Kind(Lane.SECURITY, sealed=("email",)),
    "deactivated": Kind(Lane.SECURITY),
    # To the platform's administrators; about the account of whoever wants to go.
    "deletion_requested": Kind(about=("account",), to_all=True),
    "order_fulfilled": Kind(Lane.TICKETS, about=("order",)),
    "order_timed_out": Kind(about=("order",)),
    "refund": Kind(about=("refund",)),
    # Money that came for an order that was gone.
    "payment_returned": Kind(about=("refund",)),
    "transfer_received": Kind(about=("transfer",)),
    "transfer_claimed": Kind(about=("transfer",)),
    "transfer_cancelled": Kind(about=("transfer",)),
    # To everybody who holds a ticket when it is posted: post it before the tickets are touched.
    "event_cancelled": Kind(Lane.CROWD, about=("event",), to_all=True),
    # As it was before: the dates as sent, the venue's zone, name and place.
    "event_changed": Kind(
        Lane.CROWD_TICKETS,
        about=("event", "start", "end", "doors", "zone", "name", "address", "city", "longitude", "latitude"),
        to_all=True,
    ),
    "section_removed": Kind(Lane.CROWD, about=("event", "section"), to_all=True),
    # To who held tickets that somebody else was given the money for.
    "tickets_voided": Kind(about=("event", "count")),
    # To the administrators of the event's host.
    "submission_decided": Kind(about=("submission",), to_all=True),
    # To who was asked to run a host.
    "host_invitation": Kind(about=("host",)),
}

STRANGER = 0  # in place of an account: to an address that none has; the `email` sealed in it
_PURPOSE = "letter"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to one account, or (`account` None) to all whom it concerns.

    `about` names things by id and carries nothing personal; what is secret or personal is `sealed`, by `seal`. An
    `email` sealed in it is where it is sent, in place of the account's address.
    """

    name: Name
    account: int | None = None
    about: Mapping[str, int | float | str] = field(default_factory=dict)
    sealed: bytes | None = None


def seal(vault: Vault, secrets: Mapping[str, str]) -> bytes:
    """What only the worker that writes the letter can read: a code, an address."""
    return vault.encrypt(_PURPOSE, msgspec.json.encode(secrets).decode())


def unseal(vault: Vault, sealed: bytes | None) -> dict[str, str]:
    """What was sealed. Raises cryptography's InvalidTag when no secret of the vault sealed it."""
    return msgspec.json.decode(vault.decrypt(_PURPOSE, sealed), type=dict[str, str]) if sealed else {}


_POST = """
INSERT INTO mails (letter, account_id, about, sealed, lane, posted_at, due_at)
SELECT letter, account_id, about::jsonb, sealed, lane, clock(), clock()
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[])
       AS new (letter, account_id, about, sealed, lane)"""


# Whoever posts many holds locks that others wait for: 64 rows take 0.6 ms of an orders' batch (8 ms), one row 0.2.
BUNDLE = "bundle"
LARGEST_LOOSE = 8

_POST_BUNDLE = """
INSERT INTO mails (letter, about, posted_at, due_at) VALUES ($1, $2::text::jsonb, clock(), clock())"""


async def post(db: Connection, letters: Sequence[Letter]) -> None:
    """Post letters, all in one statement, in the caller's transaction; they are sent within seconds of its commit.

    Raises ValueError for a letter that lacks what its kind must carry.
    """
    if not letters:
        return
    for letter in letters:
        _ensure_complete(letter)
    if len(letters) > LARGEST_LOOSE and not any(_lane(letter) is Lane.SECURITY for letter in letters):
        bundle = [[letter.name, letter.account, letter.about, _lane(letter)] for letter in letters]
        await db.execute(_POST_BUNDLE, BUNDLE, msgspec.json.encode({"letters": bundle}).decode())
        return
    await db.execute(
        _POST,
        [letter.name for letter in letters],
        [letter.account for letter in letters],
        [msgspec.json.encode(letter.about).decode() for letter in letters],
        [letter.sealed for letter in letters],
        [_lane(letter) for letter in letters],
    )


def _lane(letter: Letter) -> Lane:
    return KINDS[letter.name].lane


def _ensure_complete(letter: Letter) -> None:
    kind = KINDS[letter.name]
    if kind.to_all != (letter.account is None):
        raise ValueError(f"{letter.name}: {'it goes to all' if kind.to_all else 'to which account?'}")
    if missing := set(kind.about) - set(letter.about):
        raise ValueError(f"{letter.name}: it says nothing about {', '.join(sorted(missing))}")
    if kind.sealed and letter.sealed is None:
        raise ValueError(f"{letter.name}: nothing is sealed in it")


async def erase_letters(db: Connection, account_id: int) -> None:
    """Forget every letter to the account, and who it was that wanted to go: sent or not.

    What waits is not sent any more.
    """
    await db.execute("DELETE FROM mails WHERE account_id = $1", account_id)


@dataclass(frozen=True)
class Unsent:
    """What waits to be sent: how many letters (a thousand or more counted as a thousand), the oldest since when."""

    waiting: int
    oldest_seconds: float


_UNSENT = """
SELECT (SELECT count(*)::int FROM (SELECT FROM mails WHERE status = 'Waiting' LIMIT 1000) AS found) AS waiting,
       (SELECT greatest(extract(epoch FROM clock() - posted_at), 0)::float8
          FROM mails WHERE status = 'Waiting' ORDER BY id LIMIT 1) AS oldest"""


async def unsent_letters(db: Connection) -> Unsent:
    """How the post stands."""
    row = await db.fetchrow(_UNSENT)
    assert row is not None  # noqa: S101 - for the type checker: the statement always has one row
    return Unsent(row["waiting"], row["oldest"] or 0.0)


def _seal_anew(vault: Vault, mail: Row) -> Values | None:
    sealed = vault.encrypt_anew(_PURPOSE, mail["sealed"])
    return sealed and (sealed,)


async def _lose(db: Connection, _vault: Vault, mails: Sequence[Row]) -> None:
    await db.execute(
        "UPDATE mails SET status = 'Dropped', sealed = NULL, done_at = clock() WHERE id = ANY($1::bigint[])",
        [mail["id"] for mail in mails],
    )


SEALED = Sealed(
    name="waiting letters",
    table="mails",
    key={"id": "bigint"},
    columns={"sealed": "bytea"},
    live="status = 'Waiting' AND sealed IS NOT NULL",
    thing="format('letter %s (%s)', id, letter)",
    loss="are dropped: codes, which can be asked for again, and notices to former addresses",
    anew=_seal_anew,
    lose=_lose,
)
