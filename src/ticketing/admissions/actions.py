"""Letting people in, and managing the tokens that let staff do it."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ticketing.history.recording import record
from ticketing.kit.database import Connection, Row
from ticketing.kit.metrics import Count
from ticketing.kit.vault import Vault
from ticketing.sessions.gate_keys import issue_token as write_token
from ticketing.sessions.gate_keys import renew_tokens
from ticketing.web.callers import Caller, announce
from ticketing.web.errors import InvalidValues, NotFound, Restricted, about

from .errors import EventCancelled, GlobalToken, TooManyTokens
from .queries import Gate
from .refusals import Tally, open_tally
from .rules import RETIRED, Scanned, Verdict, judge
from .scans import Read, read_scans

SCANS = Count("scans", "Scanned tickets, by verdict.", "verdict")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was scanned (serials or payloads), in the order in which it was, by whom and with what."""

    serials: Sequence[Any]
    redeemer: str
    device: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ids of the admissions, and why the other scans were refused, by what was scanned."""

    admitted: list[int]
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Judged:
    id: int
    serial: str
    ticket: Row | None
    verdict: Verdict


# Two gates that scan one ticket: the second waits here, and then finds it redeemed. What the event has become while its
# cancellation was waited for is read with them.
_LOCK_TICKETS = """
SELECT id, serial, event_id, section_id, status, owner_id, floor(extract(epoch FROM issued_at))::bigint AS issue,
       (SELECT event.status = 'Cancelled' FROM events event WHERE event.id = $2) AS cancelled
  FROM tickets
 WHERE serial = ANY($1::text[]) AND event_id = $2 ORDER BY id FOR UPDATE"""

# Those of this event would have been found, were they not just now issued; or they are retired.
_FIND_ELSEWHERE = f"""
SELECT ticket_id AS id, serial, event_id, section_id, '{RETIRED}' AS status, owner_id
  FROM retired_serials WHERE serial = ANY($1::text[])
UNION ALL
SELECT id, serial, event_id, section_id, status, owner_id
  FROM tickets WHERE serial = ANY($1::text[]) AND event_id <> $2"""

_WRITE = """
WITH now AS MATERIALIZED (SELECT clock() AS at),
redeemed AS (
    UPDATE tickets SET status = 'Redeemed', redeemed_at = now.at, changed_at = now.at
      FROM now WHERE id = ANY($2::bigint[])),
refused AS (
    INSERT INTO refused_scans (id, event_id, token_id, account_id, serial, reason, ticket_id, section_id, patron_id,
                               redeemer, device, scanned_at)
    SELECT scan.id, $5, $6, $12, scan.serial, scan.reason, scan.ticket_id, scan.section_id, scan.patron_id,
           $7, $8, now.at
      FROM now, unnest($9::bigint[], $10::text[], $11::text[], $13::bigint[], $14::bigint[], $15::bigint[])
           AS scan (id, serial, reason, ticket_id, section_id, patron_id)),
counted AS (
    UPDATE refusal_tallies SET stored = stored + cardinality($9), dropped = dropped + $16
     WHERE event_id = $5 AND gate = coalesce($6, $12) AND day = $17)
INSERT INTO admissions (id, ticket_id, event_id, section_id, patron_id, token_id, account_id, redeemer, device,
                        admitted_at)
SELECT admitted.id, admitted.ticket_id, $5, admitted.section_id, admitted.patron_id, $6, $12, $7, $8, now.at
  FROM now, unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
       AS admitted (id, ticket_id, section_id, patron_id)"""


async def admit(db: Connection, gate: Gate, scan: Scan, new_id: Callable[[], int], most_refused: int) -> Outcome:
    """Let in whoever may come in, remember whoever may not and why (`most_refused` of this gate in a day).

    The number of statements does not depend on the number of serials. The gate is one for who is admitting.

    Raises EventCancelled, or Restricted for a gate key, when the event was cancelled this very moment.
    """
    read = await read_scans(db, scan.serials)
    believed = {one.serial for one in read if one.refusal is None}
    scanned = await lock_scanned(db, gate, believed)
    if any(ticket.get("cancelled") for ticket in scanned.values()):
        raise Restricted if gate.token else EventCancelled
    judged = _judge_all(gate, read, scanned, new_id)
    admitted = [one for one in judged if one.verdict is Verdict.ADMITTED]
    refused = [one for one in judged if one.verdict is not Verdict.ADMITTED]
    tickets = [one.ticket for one in admitted if one.ticket is not None]
    tally = await open_tally(db, gate, most_refused) if refused else Tally()
    stored = refused[: tally.room]
    own = [one.ticket if one.ticket and one.ticket["event_id"] == gate.event else None for one in stored]
    await db.execute(
        _WRITE,
        [one.id for one in admitted],
        [ticket["id"] for ticket in tickets],
        [ticket["section_id"] for ticket in tickets],
        [ticket["owner_id"] for ticket in tickets],
        gate.event,
        gate.token,
        scan.redeemer,
        scan.device,
        [one.id for one in stored],
        [one.serial for one in stored],
        [one.verdict.value for one in stored],
        gate.account,
        [ticket and ticket["id"] for ticket in own],
        [ticket and ticket["section_id"] for ticket in own],
        [ticket and ticket["owner_id"] for ticket in own],
        len(refused) - len(stored),
        tally.day,
    )
    for one in judged:
        SCANS.add(one.verdict.name.lower())
    return Outcome([one.id for one in admitted], {one.serial: one.verdict.value for one in refused})


async def lock_scanned(db: Connection, gate: Gate, wanted: Set[str]) -> dict[str, Row]:
    """The scanned tickets by serial; those of this event are locked, others are none of ours to lock."""
    found = {row["serial"]: row for row in await db.fetch(_LOCK_TICKETS, list(wanted), gate.event)}
    if elsewhere := wanted - found.keys():
        found |= {row["serial"]: row for row in await db.fetch(_FIND_ELSEWHERE, list(elsewhere), gate.event)}
    return found


def _judge_all(gate: Gate, scans: Iterable[Read], tickets: dict[str, Row], new_id: Callable[[], int]) -> list[_Judged]:
    """The verdicts in the order of the scans; a ticket that is scanned twice is admitted once."""
    judged: list[_Judged] = []
    admitted: set[str] = set()
    for read in scans:
        ticket = tickets.get(read.serial)
        verdict = judge_read(gate, read, ticket, admitted, doors_open=gate.doors_open)
        judged.append(_Judged(new_id(), read.shown, ticket, verdict))
    return judged


def judge_read(gate: Gate, read: Read, ticket: Row | None, admitted: set[str], *, doors_open: bool) -> Verdict:
    """The verdict on what was read, of a ticket that is locked; `admitted`: serials let in with the same request."""
    verdict = read.refusal or judge(_facts(read, ticket), gate.event, gate.sections, doors_open=doors_open)
    if ticket and verdict is Verdict.ADMITTED:
        if ticket["serial"] in admitted:
            return Verdict.ALREADY_ADMITTED
        admitted.add(ticket["serial"])
    return verdict


def _facts(read: Read, ticket: Row | None) -> Scanned | None:
    if ticket is None:
        return None
    is_current = read.issue is None or read.issue == ticket.get("issue", read.issue)
    return Scanned(ticket["event_id"], ticket["section_id"], ticket["status"], is_current)


# Tokens


MOST_TOKENS = 200
_COUNT_TOKENS = "SELECT count(*) FROM tokens WHERE event_id = $1 AND removed_at IS NULL"


async def issue_token(
    db: Connection,
    vault: Vault,
    new_id: Callable[[], int],
    caller: Caller,
    event_id: int,
    sections: Sequence[tuple[int, int]],
) -> int:
    """Write a token for these sections (pairs of event and section); its id.

    Raises InvalidValues for foreign ones, TooManyTokens.
    """
    await _ensure_own(db, event_id, sections)
    await db.execute("SELECT FROM tokens WHERE event_id = $1 AND global FOR UPDATE", event_id)  # one after the other
    if await db.fetchval(_COUNT_TOKENS, event_id) >= MOST_TOKENS:
        raise TooManyTokens(MOST_TOKENS)
    token_id = await write_token(db, vault, new_id(), event_id, is_global=False)
    await _write_sections(db, token_id, sections)
    await record(db, new_id(), caller, "token.issued", _uri(event_id, token_id))
    return token_id


async def lock_token(db: Connection, event_id: int, token_id: int | None) -> Row:
    """The id and `global` of a token that stays as it is until the transaction ends. Raises NotFound."""
    row = await db.fetchrow(
        "SELECT id, global FROM tokens WHERE id = $1 AND event_id = $2 AND removed_at IS NULL FOR UPDATE",
        token_id,
        event_id,
    )
    if row is None:
        raise NotFound
    return row


async def update_token(
    db: Connection,
    new_id: Callable[[], int],
    caller: Caller,
    event_id: int,
    token: Row,
    sections: Sequence[tuple[int, int]],
) -> None:
    """Let the token open these sections and no others, from now on.

    Raises InvalidValues for foreign ones, then GlobalToken.
    """
    await _ensure_own(db, event_id, sections)
    if token["global"]:
        raise GlobalToken
    await db.execute("DELETE FROM token_sections WHERE token_id = $1", token["id"])
    await _write_sections(db, token["id"], sections)
    await record(db, new_id(), caller, "token.updated", _uri(event_id, token["id"]))


async def renew_token(
    db: Connection, vault: Vault, new_id: Callable[[], int], caller: Caller, event_id: int, token: Row
) -> None:
    """Give the token another code and another key; the old ones open nothing any more."""
    await renew_tokens(db, vault, [token])
    await record(db, new_id(), caller, "token.renewed", _uri(event_id, token["id"]))


async def invalidate_token(
    db: Connection, new_id: Callable[[], int], caller: Caller, event_id: int, token: Row
) -> None:
    """End the token and its key. Raises GlobalToken."""
    if token["global"]:
        raise GlobalToken
    await db.execute("UPDATE tokens SET removed_at = clock() WHERE id = $1", token["id"])
    await announce(db)
    await record(db, new_id(), caller, "token.invalidated", _uri(event_id, token["id"]))


async def _ensure_own(db: Connection, event_id: int, sections: Sequence[tuple[int, int]]) -> None:
    own = await db.fetchval(
        "SELECT count(*) FROM sections WHERE event_id = $1 AND id = ANY($2::bigint[]) AND removed_at IS NULL",
        event_id,
        [section for _, section in sections],
    )
    if own != len(sections) or any(event != event_id for event, _ in sections):
        raise InvalidValues(about("sections", "names a section that is none of this event"))


async def _write_sections(db: Connection, token_id: int, sections: Sequence[tuple[int, int]]) -> None:
    await db.execute(
        "INSERT INTO token_sections (token_id, section_id) SELECT $1, unnest($2::bigint[])",
        token_id,
        [section for _, section in sections],
    )


def _uri(event_id: int, token_id: int) -> str:
    return f"/events/{event_id}/tokens/{token_id}"
