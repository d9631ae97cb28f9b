"""The sandbox: a small payment provider of our own, with a ledger, that moves no money.

It keeps to what a real one keeps to: a key is charged once whatever is sent under it, a cancelled key can never
succeed, no more is refunded than was charged. Its tables are its own; the platform reads them through it alone.
"""

import asyncio
import secrets

from ticketing.kit.database import Connection, Database, Row

from . import (
    Action,
    Card,
    Charge,
    Done,
    Failed,
    NotBegun,
    Outcome,
    Payer,
    Refused,
    Remember,
    Repayment,
    Silent,
    Token,
    Waiting,
)
from .cards import Part, part_of

SLOW_SECONDS = 20.0  # how long a slow success takes, and a customer at his bank
SILENCE_SECONDS = 30.0  # longer than anybody waits

_CHARGE = """
INSERT INTO sandbox_charges (key, reference, amount_cents, currency, state, code, refunds, succeeds_at, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock() + make_interval(secs => $8), clock())
ON CONFLICT (key) DO NOTHING"""

_FIND = """
SELECT reference, code, CASE WHEN succeeds_at <= clock() THEN 'succeeded' ELSE state END AS state
  FROM sandbox_charges WHERE key = $1"""

_CANCEL = """
INSERT INTO sandbox_charges (key, reference, amount_cents, currency, state, code, refunds, at)
VALUES ($1, $2, $3, $4, 'cancelled', 'cancelled', 'succeed', clock())
ON CONFLICT (key) DO UPDATE SET state = 'cancelled', code = 'cancelled', succeeds_at = NULL
   WHERE sandbox_charges.state IN ('processing', 'requires_action')
     AND (sandbox_charges.succeeds_at > clock()) IS NOT FALSE"""

_CHARGED = """
SELECT amount_cents, refunds, state = 'succeeded' OR succeeds_at <= clock() AS succeeded,
       (SELECT coalesce(sum(amount_cents), 0)::bigint FROM sandbox_refunds
         WHERE charge = $1 AND state = 'succeeded') AS refunded,
       EXISTS (SELECT FROM sandbox_refunds WHERE charge = $1) AS tried
  FROM sandbox_charges WHERE reference = $1"""


class Sandbox:
    """The provider of installations that have no other."""

    name = "sandbox"
    takes_cards = True

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charge: Charge, means: Card | Token, payer: Payer, remember: Remember) -> Outcome:
        """Play the part of the card. Raises Silent, Failed."""
        part = part_of(means)
        if part.trouble == "fails":
            raise Failed("processing_error")
        if part.trouble == "silent before":
            await _keep_silent()
        async with self._database.transaction() as db:
            outcome = await enter_charge(db, charge, part)
        if part.trouble == "silent after":
            await _keep_silent()
        return outcome

    async def find(self, charge: Charge) -> Outcome:
        """What the ledger says."""
        async with self._database.reading() as db:
            return await _find(db, charge)

    async def cancel(self, charge: Charge) -> Outcome:
        """Write into the ledger that this key is cancelled, unless it has ended."""
        async with self._database.transaction() as db:
            await db.execute(_CANCEL, charge.key, _reference("ch"), charge.amount_cents, charge.currency)
            return await _find(db, charge)

    async def repay(self, repayment: Repayment, *, again: bool) -> Outcome:
        """Give money back, as the part of the charge's card has it. Raises Silent."""
        async with self._database.transaction() as db:
            outcome, is_silent = await enter_refund(db, repayment)
        if is_silent:
            await _keep_silent()
        return outcome

    async def close(self) -> None:
        """Nothing to let go of."""


async def enter_charge(db: Connection, charge: Charge, part: Part) -> Outcome:
    """Write a charge into the ledger as its part has it, once per key; what the ledger says then."""
    waits = part.ending in ("processing", "requires_action") and not part.abandoned
    await db.execute(
        _CHARGE,
        charge.key,
        _reference("ch"),
        charge.amount_cents,
        charge.currency,
        part.ending,
        part.code,
        part.refunds,
        SLOW_SECONDS if waits else None,
    )
    return await _find(db, charge)


async def enter_refund(db: Connection, repayment: Repayment) -> tuple[Outcome, bool]:
    """Write a refund into the ledger, once per key; what the ledger says then, and whether that is kept from whoever
    asked."""
    await db.execute("SELECT FROM sandbox_charges WHERE reference = $1 FOR UPDATE", repayment.charge_reference)
    if known := await _find_refund(db, repayment.key):
        return known, False
    charge = await db.fetchrow(_CHARGED, repayment.charge_reference)
    if charge is None or not charge["succeeded"]:
        return Refused("", "unknown_charge"), False
    if charge["refunded"] + repayment.amount_cents > charge["amount_cents"]:
        return Refused("", "more_than_charged"), False
    first = not charge["tried"]
    state = "failed" if charge["refunds"] == "fail once" and first else "succeeded"
    await db.execute(
        "INSERT INTO sandbox_refunds (key, reference, charge, amount_cents, state, at)"
        " VALUES ($1, $2, $3, $4, $5, clock())",
        repayment.key,
        _reference("re"),
        repayment.charge_reference,
        repayment.amount_cents,
        state,
    )
    return await _find_refund(db, repayment.key) or NotBegun(), charge["refunds"] == "silent once" and first


async def _keep_silent() -> None:
    await asyncio.sleep(SILENCE_SECONDS)
    raise Silent


async def _find(db: Connection, charge: Charge) -> Outcome:
    row = await db.fetchrow(_FIND, charge.key)
    return NotBegun() if row is None else _outcome(row)


def _outcome(row: Row) -> Outcome:
    reference: str = row["reference"]
    if row["state"] == "succeeded":
        return Done(reference)
    if row["state"] in ("declined", "cancelled"):
        return Refused(reference, row["code"])
    if row["state"] == "requires_action":
        return Waiting(reference, Action("sandbox", f"{reference}_secret", ""))
    return Waiting(reference)


async def _find_refund(db: Connection, key: str) -> Outcome | None:
    row = await db.fetchrow("SELECT reference, state FROM sandbox_refunds WHERE key = $1", key)
    if row is None:
        return None
    return Done(row["reference"]) if row["state"] == "succeeded" else Refused(row["reference"], "refund_failed")


def _reference(kind: str) -> str:
    return f"{kind}_sandbox_{secrets.token_hex(8)}"
