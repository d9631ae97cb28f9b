"""Sending tickets, and claiming or cancelling what was sent.

Locks: accounts, then tickets in the order of their ids, then the transfer (see `accounts/open_transfers`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketing.accounts.errors import AccountNotFound
from ticketing.accounts.locks import lock_accounts
from ticketing.accounts.open_transfers import end_transfers
from ticketing.kit.database import Connection, Row
from ticketing.letters.posting import Letter, post
from ticketing.tickets.rules import new_serial
from ticketing.web.errors import InvalidValues, about

from .errors import NotCancellable, NotClaimable, NotEnoughTickets, ToThemselves
from .schemas import MOST_TICKETS


@dataclass(frozen=True, slots=True)
class Sending:
    """What somebody sends: event, section and quantity of each line."""

    sender: int
    recipient: int
    lines: Sequence[tuple[int, int, int]]

    @property
    def wanted(self) -> Mapping[int, int]:
        """The quantity by section."""
        return {section: quantity for _, section, quantity in self.lines}


_COUNT_KNOWN = """
SELECT count(*) FROM unnest($1::bigint[], $2::bigint[]) AS named (event_id, section_id)
  JOIN sections section ON section.id = named.section_id AND section.event_id = named.event_id
  JOIN events event ON event.id = section.event_id
 WHERE section.removed_at IS NULL AND event.removed_at IS NULL"""

# The oldest first.
_CHOOSE = """
SELECT chosen.id FROM unnest($2::bigint[], $3::int[]) AS wanted (section_id, quantity)
       CROSS JOIN LATERAL (
           SELECT id FROM tickets ticket
            WHERE ticket.owner_id = $1 AND ticket.section_id = wanted.section_id AND ticket.status = 'Issued'
            ORDER BY id LIMIT wanted.quantity) chosen"""

_LOCK_CHOSEN = """
SELECT FROM tickets WHERE id = ANY($1::bigint[]) AND owner_id = $2 AND status = 'Issued' ORDER BY id FOR UPDATE"""

_WRITE = """
WITH now AS MATERIALIZED (SELECT clock() AS at),
initiated AS (
    INSERT INTO transfers (id, sender_id, recipient_id, initiated_at) SELECT $1, $2, $3, now.at FROM now),
itemised AS (
    INSERT INTO transfer_items (transfer_id, position, section_id, quantity)
    SELECT $1, position, section_id, quantity
      FROM unnest($5::bigint[], $6::int[]) WITH ORDINALITY AS line (section_id, quantity, position))
UPDATE tickets SET status = 'Pending', transfer_id = $1, changed_at = now.at
  FROM now WHERE id = ANY($4::bigint[])"""


async def initiate_transfer(db: Connection, transfer_id: int, sending: Sending) -> None:
    """Send tickets of the sender's wallet: the oldest Issued ones of each section, all or none. The recipient is told.

    Raises InvalidValues for sections that are none and for too many tickets, NotEnoughTickets, ToThemselves,
    AccountNotFound when a side was deleted meanwhile.
    """
    sides = {sending.sender, sending.recipient}
    await lock_accounts(db, sorted(sides))
    if await db.fetchval(
        "SELECT count(*) FROM accounts WHERE id = ANY($1::bigint[]) AND removed_at IS NULL", list(sides)
    ) < len(sides):
        raise AccountNotFound
    tickets = await _take_tickets(db, sending)
    if sending.sender == sending.recipient:
        raise ToThemselves
    await db.execute(
        _WRITE,
        transfer_id,
        sending.sender,
        sending.recipient,
        tickets,
        list(sending.wanted),
        list(sending.wanted.values()),
    )
    await post(db, [Letter("transfer_received", account=sending.recipient, about={"transfer": transfer_id})])


async def _take_tickets(db: Connection, sending: Sending) -> list[int]:
    """The ids of the tickets to send, locked.

    One of those chosen may be admitted, or void, before it is locked; then others are chosen. That ends, for the
    sender's account is locked: nothing else sends his tickets, and what is gone does not come back.
    """
    await _ensure_known(db, sending.lines)
    wanted = sending.wanted
    total = sum(wanted.values())
    while True:
        rows = await db.fetch(_CHOOSE, sending.sender, list(wanted), list(wanted.values()))
        chosen = [row["id"] for row in rows]
        if len(chosen) < total:
            raise NotEnoughTickets
        if total > MOST_TICKETS:
            raise InvalidValues(about("tickets", f"at most {MOST_TICKETS} tickets in one transfer"))
        attempt = db.transaction()
        await attempt.start()
        if len(await db.fetch(_LOCK_CHOSEN, chosen, sending.sender)) == total:
            await attempt.commit()
            return chosen
        await attempt.rollback()  # what was locked is let go: locks are taken in one order


async def _ensure_known(db: Connection, lines: Sequence[tuple[int, int, int]]) -> None:
    known = await db.fetchval(_COUNT_KNOWN, [line[0] for line in lines], [line[1] for line in lines])
    if known < len(lines):
        raise InvalidValues(about("tickets", "names a section that does not exist"))


_LOCK_TICKETS = "SELECT FROM tickets WHERE transfer_id = $1 ORDER BY id FOR UPDATE"

_LOCK_WITH_TITLES = """
SELECT ticket.id, event.title, section.name
  FROM tickets ticket JOIN sections section ON section.id = ticket.section_id
       JOIN events event ON event.id = ticket.event_id
 WHERE ticket.transfer_id = $1 ORDER BY ticket.id FOR UPDATE OF ticket"""

# Each ticket is issued anew; the serial it had is remembered as its former owner knew it.
_CLAIM = """
WITH now AS MATERIALIZED (SELECT clock() AS at),
retired AS (
    INSERT INTO retired_serials (id, serial, ticket_id, transfer_id, event_id, section_id, owner_id, issued_at,
                                 retired_at)
    SELECT new.retired_id, ticket.serial, ticket.id, ticket.transfer_id, ticket.event_id, ticket.section_id,
           ticket.owner_id, ticket.issued_at, now.at
      FROM now, unnest($3::bigint[], $5::bigint[]) AS new (id, retired_id) JOIN tickets ticket ON ticket.id = new.id),
handed_on AS (
    UPDATE tickets ticket SET serial = new.serial, owner_id = $2, status = 'Issued', transfer_id = NULL,
                              issued_at = now.at, changed_at = now.at
      FROM now, unnest($3::bigint[], $4::text[]) AS new (id, serial) WHERE ticket.id = new.id)
UPDATE transfers SET status = 'Claimed', closed_at = now.at FROM now WHERE id = $1 RETURNING closed_at"""


async def claim_transfer(db: Connection, transfer: Row, new_id: Callable[[], int]) -> datetime:
    """Hand the tickets of a transfer to its recipient, each under a new serial; when it was. The sender is told.

    Raises NotClaimable.
    """
    await lock_accounts(db, [transfer["recipient_id"]])
    tickets = await db.fetch(_LOCK_WITH_TITLES, transfer["id"])
    if await _lock_transfer(db, transfer["id"]) != "Pending":
        raise NotClaimable
    claimed: datetime = await db.fetchval(
        _CLAIM,
        transfer["id"],
        transfer["recipient_id"],
        [ticket["id"] for ticket in tickets],
        [new_serial(ticket["title"], ticket["name"]) for ticket in tickets],
        [new_id() for _ in tickets],
    )
    await post(db, [Letter("transfer_claimed", account=transfer["sender_id"], about={"transfer": transfer["id"]})])
    return claimed


async def cancel_transfer(db: Connection, transfer_id: int, by: int) -> None:
    """Give up a transfer on behalf of either side; its tickets are usable again. The other side is told.

    Raises NotCancellable.
    """
    await db.execute(_LOCK_TICKETS, transfer_id)
    status = await _lock_transfer(db, transfer_id)
    if status != "Pending":
        raise NotCancellable(status)
    await end_transfers(db, [transfer_id], by=by)


async def _lock_transfer(db: Connection, transfer_id: int) -> str:
    """What became of the transfer; it stays so until the transaction ends. Its tickets are locked before."""
    return str(await db.fetchval("SELECT status FROM transfers WHERE id = $1 FOR UPDATE", transfer_id))
