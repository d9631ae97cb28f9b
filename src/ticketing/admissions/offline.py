"""Scans made without a network: what a gate let in by itself, uploaded when it is heard again.

The server records what happened: who was let in is admitted, at that time, by that device, even if it comes late.
Where the ticket had been used, handed on or given back, the first admission stands and the scan is kept as a conflict
with its reason. A scan is known by its nonce, so that an upload may be repeated without effect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ticketing.accounts.queries import build_short_account, short_columns
from ticketing.accounts.schemas import ShortAccount
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.tickets.queries import SECTION_COLUMNS, build_short_section
from ticketing.tickets.schemas import ShortSection
from ticketing.web.errors import InvalidValues, NotFound
from ticketing.web.forms import BadValue, Field, Form, Kind, text
from ticketing.web.paging import Filter, Listing

from .actions import SCANS, judge_read, lock_scanned
from .queries import Gate, as_seen, within
from .rules import Verdict
from .scans import MOST_SHOWN, read_scans

MOST_SCANS = 500  # of one upload
EARLIEST = "interval '30 days'"  # before now: a clock that is further back is wrong


class OfflineScan(msgspec.Struct):
    """A scan as a gate made it: what was read, when (by the server's clock, as far as the gate knows it), its nonce."""

    serial: str
    at: str
    nonce: str


class ScanResult(msgspec.Struct):
    """What became of one scan: `admitted` (with the moment) or `conflict` (with the reason)."""

    nonce: str
    verdict: str
    reason: str
    admitted: str


class ScanResults(msgspec.Struct):
    """What became of an upload, in its order."""

    results: list[ScanResult]


class Conflict(msgspec.Struct):
    """Somebody who was let in without a network with a ticket that opened nothing, and why it did not."""

    uri: str = msgspec.field(name="self")
    nonce: str
    ticket: str
    reason: str
    redeemer: str
    device: str
    scanned: str
    patron: ShortAccount | None
    section: ShortSection | None


def _scans() -> Kind:
    expects = f"a list of up to {MOST_SCANS} objects with `serial`, `at` (a moment with an offset) and `nonce`"

    def parse(value: Any) -> list[OfflineScan]:
        if not isinstance(value, list) or len(value) > MOST_SCANS:
            raise BadValue(f"must be {expects}")
        return [_parse(one) for one in value]

    def _parse(one: Any) -> OfflineScan:
        given = [one.get(name) for name in ("serial", "at", "nonce")] if isinstance(one, dict) else []
        found = [part for part in given if isinstance(part, str) and 0 < len(part) <= 200 and "\x00" not in part]
        if len(found) != 3:
            raise BadValue(f"must be {expects}")
        serial, at, nonce = found
        if not clock.is_moment(at) or not (at.endswith("Z") or at[-6:-5] in ("+", "-")):
            raise BadValue(f"must be {expects}")
        return OfflineScan(serial, at, nonce[:100])

    members = {name: {"type": "string"} for name in ("serial", "at", "nonce")}
    items = {"type": "object", "properties": members, "required": list(members)}
    return Kind(
        parse,
        expects,
        {"type": "array", "items": items, "maxItems": MOST_SCANS},
        [{"serial": "DAWIER-BACK75580348", "at": "2034-06-07T19:04:11Z", "nonce": "4f0c"}],
    )


UPLOAD = Form(
    [
        Field("redeemer", text(200, example="Vera")),
        Field("device", text(200, example="Scanner 4")),
        Field("scans", _scans()),
    ]
)


@dataclass(frozen=True, slots=True)
class Upload:
    """Scans of one device, in the order in which they were made."""

    scans: Sequence[OfflineScan]
    redeemer: str
    device: str


_KNOWN = """
SELECT scan.nonce, scan.reason, scan.scanned_at FROM offline_scans scan
 WHERE scan.event_id = $1 AND scan.nonce = ANY($2::text[])"""

# One upload of a gate after the other, so that a repetition that overtakes finds what the first one wrote.
_LOCK = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
UPLOADS = 0x7157  # the class of these locks

_MOMENTS = f"""
SELECT given.number, greatest(least(given.at::timestamptz, clock()), clock() - {EARLIEST}) AS at
  FROM unnest($1::text[]) WITH ORDINALITY AS given (at, number) ORDER BY number"""

_WRITE = """
WITH now AS MATERIALIZED (SELECT clock() AS at),
scan AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                         $7::timestamptz[], $8::text[], $9::bigint[])
           AS scan (id, nonce, serial, ticket_id, section_id, patron_id, scanned_at, reason, admission_id)),
redeemed AS (
    UPDATE tickets SET status = 'Redeemed', redeemed_at = scan.scanned_at, changed_at = now.at
      FROM scan, now WHERE tickets.id = scan.ticket_id AND scan.reason = ''),
admitted AS (
    INSERT INTO admissions (id, ticket_id, event_id, section_id, patron_id, token_id, account_id, redeemer, device,
                            admitted_at)
    SELECT scan.admission_id, scan.ticket_id, $10, scan.section_id, scan.patron_id, $11, $12, $13, $14, scan.scanned_at
      FROM scan WHERE scan.reason = '')
INSERT INTO offline_scans (id, event_id, nonce, token_id, account_id, serial, ticket_id, section_id, patron_id,
                           redeemer, device, scanned_at, received_at, reason, admission_id)
SELECT scan.id, $10, scan.nonce, $11, $12, scan.serial, scan.ticket_id, scan.section_id, scan.patron_id, $13, $14,
       scan.scanned_at, now.at, scan.reason, scan.admission_id
  FROM scan, now"""


async def record_scans(db: Connection, gate: Gate, upload: Upload, new_id: Callable[[], int]) -> ScanResults:
    """Write down whom a gate let in by itself; the number of statements does not depend on that of the scans."""
    await db.execute(_LOCK, UPLOADS, str(gate.event))
    first_of = {scan.nonce: scan for scan in reversed(upload.scans)}
    if len(first_of) != len(upload.scans) and any(first_of[one.nonce] != one for one in upload.scans):
        raise InvalidValues({"scans": "two different scans with one nonce"})
    known = {row["nonce"]: row for row in await db.fetch(_KNOWN, gate.event, list(first_of))}
    fresh = [scan for nonce, scan in reversed(first_of.items()) if nonce not in known]
    moments = [row["at"] for row in await db.fetch(_MOMENTS, [scan.at for scan in fresh])]
    ordered = sorted(zip(fresh, moments, strict=True), key=lambda pair: pair[1])
    read = await read_scans(db, [scan.serial for scan, _at in ordered])
    tickets = await lock_scanned(db, gate, {one.serial for one in read if one.refusal is None})
    columns: list[list[Any]] = [[] for _ in range(9)]
    results: dict[str, ScanResult] = {}
    admitted: set[str] = set()
    for (scan, at), one in zip(ordered, read, strict=True):
        ticket = tickets.get(one.serial)
        verdict = judge_read(gate, one, ticket, admitted, doors_open=True)  # he is in already
        reason = "" if verdict is Verdict.ADMITTED else verdict.value
        own = ticket if ticket is not None and ticket["event_id"] == gate.event else None
        row = (
            new_id(),
            scan.nonce,
            one.shown[:MOST_SHOWN],
            own and own["id"],
            own and own["section_id"],
            own and own["owner_id"],
            at,
            reason,
            None if reason else new_id(),
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        results[scan.nonce] = _result(scan.nonce, reason, at)
        SCANS.add(verdict.name.lower())
    await db.execute(_WRITE, *columns, gate.event, gate.token, gate.account, upload.redeemer, upload.device)
    results |= {nonce: _result(nonce, row["reason"], row["scanned_at"]) for nonce, row in known.items()}
    return ScanResults([results[scan.nonce] for scan in upload.scans])


def _result(nonce: str, reason: str, at: Any) -> ScanResult:
    if reason:
        return ScanResult(nonce, "conflict", reason, "")
    return ScanResult(nonce, "admitted", "", clock.stamp(at))


def build_conflict(row: Row) -> Conflict:
    """A conflict as the API shows it."""
    is_own = row["section_id"] is not None
    return Conflict(
        uri=f"/events/{row['event_id']}/scans/{row['id']}",
        nonce=row["nonce"],
        ticket=row["serial"],
        reason=row["reason"],
        redeemer=row["redeemer"],
        device=row["device"],
        scanned=clock.stamp(row["scanned_at"]),
        patron=build_short_account(row, "patron_") if is_own else None,
        section=build_short_section(row) if is_own else None,
    )


CONFLICTS: Listing[Conflict] = Listing(
    source="""offline_scans scan
        LEFT JOIN sections section ON section.id = scan.section_id
        LEFT JOIN accounts patron ON patron.id = scan.patron_id""",
    columns=(
        "scan.id, scan.event_id, scan.nonce, scan.serial, scan.reason, scan.redeemer, scan.device, scan.scanned_at,"
        f" {SECTION_COLUMNS}, {short_columns('patron', 'patron_')}"
    ),
    id="scan.id",
    key="scan.id",
    build=build_conflict,
    filters={"device": Filter("scan.device = {}", str)},
)


def conflicts_within(gate: Gate) -> tuple[str, list[object]]:
    """The condition for the conflicts that this gate may see, and its values: those of its sections, or its own."""
    if gate.sections is None:
        return "scan.event_id = $1 AND scan.reason <> ''", [gate.event]
    where, values = within(gate, "scan")
    return f"(({where}) OR scan.event_id = $1 AND scan.token_id = $3) AND scan.reason <> ''", [*values, gate.token]


async def get_conflict(db: Connection, gate: Gate, segment: str) -> Conflict:
    """The conflict, within what this gate may see. Raises NotFound."""
    where, values = conflicts_within(gate)
    row = await db.fetchrow(
        f"SELECT {CONFLICTS.columns} FROM {CONFLICTS.source} WHERE {where} AND scan.id = ${len(values) + 1}",
        *values,
        ids.parse(segment),
    )
    if row is None:
        raise NotFound
    return as_seen(gate, build_conflict, "patron")(row)
