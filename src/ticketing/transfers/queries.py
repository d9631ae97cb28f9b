"""Reading transfers, for who may."""

from typing import Any

import msgspec

from ticketing.accounts.errors import AccountNotFound
from ticketing.accounts.queries import build_short_account, find_account, short_columns
from ticketing.kit import clock, ids
from ticketing.kit.database import Connection, Row
from ticketing.web.callers import Caller
from ticketing.web.errors import NotFound
from ticketing.web.paging import Filter, Listing, one_of

from .errors import NotForThisSender, NotYourTransfer
from .rules import claimant
from .schemas import TRANSFER, Claim, Sent, Transfer

_COLUMNS = f"""
    transfer.id, transfer.status, transfer.initiated_at,
    {short_columns("sender", "sender_")}, {short_columns("recipient", "recipient_")},
    (SELECT json_agg(json_build_array(section.event_id, section.id, event.title, section.name, section.description,
                                      item.quantity) ORDER BY item.position)
       FROM transfer_items item JOIN sections section ON section.id = item.section_id
            JOIN events event ON event.id = section.event_id
      WHERE item.transfer_id = transfer.id)::text AS tickets"""

_SOURCE = """transfers transfer
    LEFT JOIN accounts sender ON sender.id = transfer.sender_id
    LEFT JOIN accounts recipient ON recipient.id = transfer.recipient_id"""


def build_transfer(row: Row) -> Transfer:
    """A transfer as the API shows it."""
    uri = transfer_uri(row["id"])
    return Transfer(
        uri=uri,
        status=row["status"],
        initiated=clock.stamp(row["initiated_at"]),
        sender=build_short_account(row, "sender_"),
        recipient=build_short_account(row, "recipient_"),
        tickets=[_build_sent(*item) for item in msgspec.json.decode(row["tickets"])],
        claims=f"{uri}/claims",
    )


def _build_sent(event_id: int, section_id: int, title: str, name: str, description: str, quantity: int) -> Sent:
    return Sent(f"/events/{event_id}/sections/{section_id}", f"{title}: {name}", description, quantity)


def transfer_uri(transfer_id: int) -> str:
    """What a transfer is called."""
    return f"/transfers/{transfer_id}"


# Both compare with $1: the account whose transfers are listed.
OF_ACCOUNT = "transfer.sender_id = $1 OR transfer.recipient_id = $1"
_ROLE = Filter(
    "({}::text = 'sender' AND transfer.sender_id = $1 OR {}::text = 'recipient' AND transfer.recipient_id = $1)",
    lambda text: text if text in ("sender", "recipient") else None,
    "sender or recipient",
    {"type": "string", "enum": ["sender", "recipient"]},
)

TRANSFERS: Listing[Transfer] = Listing(
    source=_SOURCE,
    columns=_COLUMNS,
    id="transfer.id",
    build=build_transfer,
    filters={
        "role": _ROLE,
        "status": one_of("transfer.status", {status: status for status in ("Pending", "Claimed", "Cancelled")}),
    },
)


def build_claim(row: Row) -> Claim:
    """The claim of a transfer that was claimed."""
    return Claim(clock.stamp(row["closed_at"]), claimant(build_short_account(row, "recipient_")), True)


CLAIMS: Listing[Claim] = Listing(
    source="transfers transfer LEFT JOIN accounts recipient ON recipient.id = transfer.recipient_id",
    columns=f"transfer.closed_at, {short_columns('recipient', 'recipient_')}",
    id="transfer.id",
    build=build_claim,
)


async def transfer_for(db: Connection, caller: Caller, segment: str) -> Transfer:
    """The transfer, if this caller may see it: either side, support, administrators.

    Raises NotFound, NotYourTransfer.
    """
    row = await db.fetchrow(
        f"SELECT transfer.sender_id, transfer.recipient_id, {_COLUMNS} FROM {_SOURCE} WHERE transfer.id = $1",
        ids.parse(segment),
    )
    if row is None:
        raise NotFound
    if caller.account not in (row["sender_id"], row["recipient_id"]) and not caller.reads_people:
        raise NotYourTransfer
    return build_transfer(row)


async def find_managed(db: Connection, caller: Caller, segment: str) -> int:
    """The id of the transfer, if this caller may cancel it: either side, administrators.

    Raises NotFound, NotYourTransfer.
    """
    row = await find_transfer(db, segment)
    if caller.account not in (row["sender_id"], row["recipient_id"]) and not caller.administers:
        raise NotYourTransfer
    return int(row["id"])


async def find_transfer(db: Connection, segment: str) -> Row:
    """The id of a transfer and those of both sides. Raises NotFound."""
    row = await db.fetchrow("SELECT id, sender_id, recipient_id FROM transfers WHERE id = $1", ids.parse(segment))
    if row is None:
        raise NotFound
    return row


async def find_sides(db: Connection, caller: Caller, body: dict[str, Any]) -> dict[str, int]:
    """The ids of the accounts that a body names as `sender` (default the caller) and `recipient`.

    Raises AccountNotFound, NotForThisSender.
    """
    sides = {"sender": caller.account_id}
    for side in ("sender", "recipient"):
        if TRANSFER.by_name[side].is_supplied(body):
            account_id = await find_account(db, str(body[side]))
            if account_id is None:
                raise AccountNotFound
            sides[side] = account_id
    if sides["sender"] != caller.account and not caller.administers:
        raise NotForThisSender
    return sides
