"""Reading tokens, valid tickets and admissions, for those who may stand at the gate."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace as replace_member

from ticketing.accounts.queries import build_short_account, short_columns
from ticketing.accounts.schemas import ShortAccount
from ticketing.events.schemas import parse_section
from ticketing.events.taking_place import SHARE
from ticketing.hosts.queries import ensure_administers
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.kit.vault import Vault
from ticketing.sessions.gate_keys import clean_code, code_digests, read_code, read_key, readings
from ticketing.tickets.queries import (
    COLUMNS,
    SECTION_COLUMNS,
    SOURCE,
    SOURCE_WITH_RETIRED,
    build_short_section,
)
from ticketing.tickets.schemas import Ticket
from ticketing.web.callers import Caller, Level
from ticketing.web.errors import NotFound, Restricted
from ticketing.web.paging import Filter, Listing, boolean, exact

from .errors import CodeNotFound
from .schemas import Admission, Token, TokenKey


@dataclass(frozen=True, slots=True)
class Gate:
    """Where the caller stands: an event, and the sections the key opens (None: all, later ones too).

    A gate key has a `token`, whoever is signed in an `account`. `doors`: when they open, as sent, and
    `opens` as an instant.
    `sees_contacts`: whether it is told usernames and e-mail addresses of guests.
    """

    event: int
    cancelled: bool
    token: int | None = None
    sections: frozenset[int] | None = None
    account: int | None = None
    doors: str = ""
    opens: str = ""
    doors_open: bool = True
    sees_contacts: bool = True

    @property
    def key(self) -> int:
        """What tells this gate from the others of the event: its token, or the account of who is signed in."""
        key = self.token or self.account
        if key is None:
            raise RuntimeError("nobody stands at the gate")
        return key


_READ_GATE = """
SELECT event.id, event.host_id, event.status = 'Cancelled' AS cancelled, event.doors_text,
       coalesce(event.doors_at <= clock(), true) AS doors_open,
       CASE WHEN event.doors_at IS NULL THEN ''
            ELSE to_char(least(event.doors_at, timestamptz '9999-12-31 23:59:59+00') AT TIME ZONE 'UTC',
                         'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') END AS opens,
       host.contacts_at_gates, token.id AS token, token.global,
       ARRAY(SELECT section_id FROM token_sections WHERE token_id = token.id) AS sections{}
  FROM events event JOIN hosts host ON host.id = event.host_id LEFT JOIN tokens token
    ON token.id = $2 AND token.event_id = event.id AND token.removed_at IS NULL
 WHERE event.id = $1 AND event.removed_at IS NULL"""
_GATE, _ADMITTING_GATE = _READ_GATE.format(""), _READ_GATE.format(f", {SHARE}")


async def gate_for(db: Connection, caller: Caller, segment: str, *, admitting: bool = False) -> Gate:
    """The event as this caller may work its gate: the event's gate keys, its host's administrators, administrators.

    Who is `admitting` keeps its cancellation waiting until the transaction ends; one that came first shows later.

    Raises NotFound; Restricted for a gate key of another event or of a cancelled one, NotHostAdministrator.
    """
    row = await db.fetchrow(_ADMITTING_GATE if admitting else _GATE, ids.parse(segment), caller.token)
    if row is None:
        raise NotFound
    doors = {"doors": row["doors_text"], "opens": row["opens"], "doors_open": row["doors_open"]}
    if caller.level is not Level.GATE:
        await ensure_administers(db, caller, row["host_id"])
        return Gate(row["id"], row["cancelled"], account=caller.account, **doors)
    if row["token"] is None or row["cancelled"]:
        raise Restricted
    return Gate(
        row["id"],
        False,
        row["token"],
        None if row["global"] else frozenset(row["sections"]),
        sees_contacts=row["contacts_at_gates"],
        **doors,
    )


Seen = TypeVar("Seen", bound=msgspec.Struct)


def as_seen(gate: Gate, build: Callable[[Row], Seen], whose: str) -> Callable[[Row], Seen]:
    """What builds things as this gate may see them: of `whose` they are it may be told no more than the name.

    A code goes from hand to hand on the night; staff compare names.
    """
    if gate.sees_contacts:
        return build

    def build_without(row: Row) -> Seen:
        thing = build(row)
        person = getattr(thing, whose)
        return thing if person is None else replace_member(thing, **{whose: without_contacts(person)})

    return build_without


def without_contacts(person: ShortAccount) -> ShortAccount:
    """Somebody's name and number, and nothing by which to write to him."""
    return replace_member(person, username="", email="")


async def managed_event(db: Connection, caller: Caller, segment: str) -> int:
    """The id of an event whose tokens this caller may manage; he may until the transaction ends.

    Raises NotFound, NotHostAdministrator.
    """
    row = await db.fetchrow("SELECT id, host_id FROM events WHERE id = $1 AND removed_at IS NULL", ids.parse(segment))
    if row is None:
        raise NotFound
    await ensure_administers(db, caller, row["host_id"], locking=True)
    return int(row["id"])


# Tokens

_OPENED = """ARRAY(
    SELECT section.id FROM sections section
     WHERE section.event_id = token.event_id AND section.removed_at IS NULL
       AND (token.global OR EXISTS (
            SELECT FROM token_sections opened WHERE opened.token_id = token.id AND opened.section_id = section.id))
     ORDER BY section.id)"""

_TOKEN_COLUMNS = f"token.id, token.event_id, token.code_encrypted, token.global, {_OPENED} AS sections"


def token_builder(vault: Vault) -> Callable[[Row], Token]:
    """What makes a token, as the API shows it, of a row."""

    def build(row: Row) -> Token:
        return Token(
            uri=f"/events/{row['event_id']}/tokens/{row['id']}",
            code=read_code(vault, row["code_encrypted"]),
            is_global=row["global"],
            sections=_section_uris(row),
        )

    return build


def _section_uris(row: Row) -> list[str]:
    return [f"/events/{row['event_id']}/sections/{section}" for section in row["sections"]]


def no_builder(_row: Row) -> Any:
    """In a listing whose entries are built for who asks: that builder is handed to `page`, or nothing is shown."""
    raise NotImplementedError


TOKENS: Listing[Token] = Listing(
    source="tokens token",
    columns=_TOKEN_COLUMNS,
    id="NOT token.global, token.id",
    build=no_builder,
    filters={"global": boolean("token.global")},
)
LIVE_TOKENS = "token.event_id = $1 AND token.removed_at IS NULL"


async def get_token(db: Connection, vault: Vault, event_id: int, token_id: int | None) -> Token:
    """The token of the event. Raises NotFound."""
    row = await db.fetchrow(
        f"SELECT {_TOKEN_COLUMNS} FROM tokens token WHERE {LIVE_TOKENS} AND token.id = $2", event_id, token_id
    )
    if row is None:
        raise NotFound
    return token_builder(vault)(row)


async def get_token_key(db: Connection, vault: Vault, typed: str) -> TokenKey:
    """The key behind a code, typed in any case.

    Letters that look alike are each other's, where only one token can be meant. Raises CodeNotFound.
    """
    code = clean_code(typed)
    if code is None:
        raise CodeNotFound
    itself, *alike = (code_digests(vault, reading) for reading in readings(code))
    rows = await db.fetch(
        "SELECT token.id, token.generation, token.key_encrypted, token.key_hash, token.code_hmac, token.event_id,"
        f"      {_OPENED} AS sections"
        "  FROM tokens token JOIN events event ON event.id = token.event_id"
        " WHERE token.code_hmac = ANY($1::bytea[]) AND token.removed_at IS NULL"
        "   AND event.removed_at IS NULL AND event.status <> 'Cancelled'",
        list(itertools.chain(itself, *alike)),
    )
    exact_ones = [one for one in rows if one["code_hmac"] in itself]
    if len(exact_ones or rows) != 1:
        raise CodeNotFound
    (row,) = exact_ones or rows
    return TokenKey(read_key(vault, row), f"/events/{row['event_id']}", _section_uris(row))


# Tickets


def _parse_since(text: str) -> str | None:
    # A plus sign that was not encoded arrives as a space.
    moment = f"{text[:10]}T{text[11:].replace(' ', '+')}"
    return moment if text[10:11] in ("T", " ") and clock.is_moment(moment) else None


TICKETS: Listing[Ticket] = Listing(
    source=SOURCE,
    columns=COLUMNS,
    id="ticket.id",
    key="ticket.id",
    build=no_builder,
    filters={
        "modified_since": Filter(
            "ticket.changed_at >= instant({}::text, 'UTC')",
            _parse_since,
            "a date and time, or the cursor of the last answer",
            {"type": "string", "format": "date-time", "description": "UTC unless it carries an offset"},
        )
    },
)

# What changed lately may lie anywhere among the ids: found by its date and then sorted, not met on a walk over all.
CHANGES: Listing[Ticket] = replace(TICKETS, source=SOURCE_WITH_RETIRED, id="(ticket.id + 0)")

VALID = "ticket.status = 'Issued'"


def within(gate: Gate, alias: str) -> tuple[str, list[object]]:
    """The condition for what this gate may see, on the columns of `alias`, and its values."""
    return (
        f"{alias}.event_id = $1 AND ($2::bigint[] IS NULL OR {alias}.section_id = ANY($2))",
        [gate.event, None if gate.sections is None else sorted(gate.sections)],
    )


# A change is stamped by the clock while its transaction runs, and is seen when it commits. Whatever a reader does not
# see yet belongs to a transaction that has begun and is listed here, so a cursor before its beginning misses nothing.
# The margin covers changes that are stamped, but not yet written at all.
_CURSOR = """
SELECT to_char((clock() - greatest(age, interval '0') - interval '2 seconds') AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM (SELECT max(clock_timestamp() - xact_start) AS age
          FROM pg_stat_activity
         WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()) oldest"""


async def next_cursor(db: Connection) -> str:
    """The `modified_since` that will find all that is not yet committed; to be had before the tickets are read."""
    return str(await db.fetchval(_CURSOR))


# Admissions


def build_admission(row: Row) -> Admission:
    """An admission as the API shows it."""
    return Admission(
        uri=f"/events/{row['event_id']}/admissions/{row['id']}",
        redeemer=row["redeemer"],
        device=row["device"],
        ticket=row["serial"],
        patron=build_short_account(row, "patron_"),
        section=build_short_section(row),
        admitted=clock.stamp(row["admitted_at"]),
    )


def patron_filter(column: str) -> Filter:
    """Whose ticket was scanned."""
    expects = "an account's number or URI"
    return Filter(
        f"{column} = (SELECT id FROM accounts WHERE number = {{}})",
        lambda text: text.removeprefix("/accounts/").upper(),
        expects,
        {"type": "string", "description": expects},
    )


def _parse_section(text: str) -> int | None:
    named = parse_section(text)
    return named[1] if named else ids.parse(text)


def section_filter(column: str) -> Filter:
    """For which section the scanned ticket was."""
    expects = "a section's id or full URI"
    return Filter(f"{column} = {{}}", _parse_section, expects, {"type": "string", "description": expects})


def clean_serial(typed: str) -> str:
    """The serial that was scanned or typed, in any case."""
    return typed.strip().upper()


ADMISSIONS: Listing[Admission] = Listing(
    source="""admissions admission
        LEFT JOIN tickets ticket ON ticket.id = admission.ticket_id
        LEFT JOIN sections section ON section.id = admission.section_id
        LEFT JOIN accounts patron ON patron.id = admission.patron_id""",
    columns=(
        "admission.id, admission.event_id, admission.redeemer, admission.device, admission.admitted_at,"
        f" ticket.serial, {SECTION_COLUMNS}, {short_columns('patron', 'patron_')}"
    ),
    id="admission.id",
    key="admission.id",
    build=no_builder,
    filters={
        "redeemer": exact("admission.redeemer"),
        "device": exact("admission.device"),
        "ticket": Filter("admission.ticket_id = (SELECT id FROM tickets WHERE serial = {})", clean_serial),
        "patron": patron_filter("admission.patron_id"),
        "section": section_filter("admission.section_id"),
    },
)


async def get_admission(db: Connection, gate: Gate, segment: str) -> Admission:
    """The admission, within what this gate may see. Raises NotFound."""
    where, values = within(gate, "admission")
    row = await db.fetchrow(
        f"SELECT {ADMISSIONS.columns} FROM {ADMISSIONS.source} WHERE {where} AND admission.id = $3",
        *values,
        ids.parse(segment),
    )
    if row is None:
        raise NotFound
    return as_seen(gate, build_admission, "patron")(row)


async def get_admissions(db: Connection, gate: Gate, admission_ids: Sequence[int]) -> list[Admission]:
    """These admissions, in the order in which they were made."""
    rows = await db.fetch(
        f"SELECT {ADMISSIONS.columns} FROM {ADMISSIONS.source}"
        " WHERE admission.id = ANY($1::bigint[]) ORDER BY admission.id",
        admission_ids,
    )
    return list(map(as_seen(gate, build_admission, "patron"), rows))
