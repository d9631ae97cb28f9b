"""Guests: whoever holds tickets of an event, found by name, address, order or serial."""

import asyncio
from collections.abc import Callable

import msgspec

from ticketing.accounts.queries import build_short_account
from ticketing.accounts.schemas import ShortAccount
from ticketing.kit.database import Connection, Row
from ticketing.kit.searching import LONGEST_WORD, MOST_WORDS, fold
from ticketing.tickets.queries import COLUMNS, SOURCE, build_short_section
from ticketing.tickets.schemas import ShortSection
from ticketing.web.errors import InvalidValues
from ticketing.web.paging import Filter, Listing, Page, one_of

from .queries import Gate, as_seen, no_builder, section_filter, within

OWNERS_AT_A_TIME = 2000


class Guest(msgspec.Struct):
    """A ticket with who holds it and the order it came from; `order` is "" for a gate's key."""

    uri: str = msgspec.field(name="self")
    serial: str
    status: str
    section: ShortSection
    owner: ShortAccount
    order: str


# Found in Python, not in SQL: how names are folded, the database does not know.
_SEARCH = Filter(
    "",
    str,
    schema={"type": "string", "description": "words of a name or address, an order's number, a serial's beginning"},
    searches=True,
)

GUESTS: Listing[Guest] = Listing(
    source=f"""{SOURCE}
    LEFT JOIN order_items item ON item.id = ticket.item_id
    LEFT JOIN orders bought ON bought.id = item.order_id""",
    columns=f"{COLUMNS}, bought.number AS order_number",
    id="ticket.id",
    key="ticket.id",
    build=no_builder,
    filters={
        "section": section_filter("ticket.section_id"),
        "status": one_of(
            "ticket.status",
            {"Issued": "Issued", "Pending": "Pending", "Held": "Pending", "Redeemed": "Redeemed", "Voided": "Voided"},
        ),
        "search": _SEARCH,
    },
)

_OWNERS = """
SELECT DISTINCT owner.id, owner.first_name, owner.last_name, owner.username, owner.email
  FROM tickets ticket JOIN accounts owner ON owner.id = ticket.owner_id
 WHERE ticket.event_id = $1"""


async def page_of_guests(db: Connection, gate: Gate, query: dict[str, str]) -> Page[Guest]:
    """The page of guests that the query asks for, among the sections of the gate.

    Raises what `Listing.page` raises, and InvalidValues for more words than can be looked for.
    """
    where, values = within(gate, "ticket")
    search = query.get("search", "").strip()
    if search:
        words = _words(search)
        owners = await _owners_with(db, gate, words)
        values = [*values, owners, search.upper()]
        owned, typed = f"${len(values) - 1}", f"${len(values)}"
        where = (
            f"({where}) AND (ticket.owner_id = ANY({owned}::bigint[]) OR starts_with(ticket.serial, {typed})"
            f" OR bought.number = {typed})"
        )
    return await GUESTS.page(db, query, where=where, values=values, build=_builder(gate), ignore=["search"])


def _builder(gate: Gate) -> Callable[[Row], Guest]:
    def build(row: Row) -> Guest:
        return Guest(
            uri=f"/tickets/{row['serial']}",
            serial=row["serial"],
            status=row["status"],
            section=build_short_section(row),
            owner=build_short_account(row, "owner_"),
            order="" if gate.token is not None else f"/orders/{row['order_number']}",
        )

    return as_seen(gate, build, "owner")


def _words(search: str) -> list[str]:
    words = fold(search[: (LONGEST_WORD + 1) * (MOST_WORDS + 1)]).split() if "\x00" not in search else []
    if not words or len(words) > MOST_WORDS or any(len(word) > LONGEST_WORD for word in words):
        raise InvalidValues({"search": f"at most {MOST_WORDS} words of at most {LONGEST_WORD} letters"})
    return words


async def _owners_with(db: Connection, gate: Gate, words: list[str]) -> list[int]:
    """The holders in whose name or address all these words are; a gate that is told no addresses finds by names."""
    found = []
    for number, row in enumerate(await db.fetch(_OWNERS, gate.event)):
        if number % OWNERS_AT_A_TIME == OWNERS_AT_A_TIME - 1:
            await asyncio.sleep(0)  # others have their turn
        told = [row["first_name"], row["last_name"]]
        if gate.sees_contacts:
            told += [row["username"], row["email"]]
        folded = fold(" ".join(told))
        if all(word in folded for word in words):
            found.append(row["id"])
    return found
