"""Reading tickets: what the wallet and the gate share."""

from ticketing.accounts.queries import build_short_account, short_columns
from ticketing.kit import clock
from ticketing.kit.database import Row

from .schemas import ShortSection, Ticket

SECTION_COLUMNS = (
    "section.event_id AS section_event_id, section.id AS section_id, section.name AS section_name,"
    " section.description AS section_description"
)
COLUMNS = (
    "ticket.serial, ticket.status, ticket.issued_at, ticket.redeemed_at,"
    f" {SECTION_COLUMNS}, {short_columns('owner', 'owner_')}"
)

# Outer joins although each finds its row: what a query does not use of them (to count, say) is then not read at all.
SOURCE = """tickets ticket
    LEFT JOIN sections section ON section.id = ticket.section_id
    LEFT JOIN events event ON event.id = ticket.event_id
    LEFT JOIN accounts owner ON owner.id = ticket.owner_id"""


def build_ticket(row: Row) -> Ticket:
    """A ticket as the API shows it, from COLUMNS."""
    redeemed_at = row["redeemed_at"]
    return Ticket(
        uri=f"/tickets/{row['serial']}",
        serial=row["serial"],
        status=row["status"],
        section=build_short_section(row),
        owner=build_short_account(row, "owner_"),
        issued=clock.stamp(row["issued_at"]),
        redeemed=clock.stamp(redeemed_at) if redeemed_at else "N/A",
    )


def build_short_section(row: Row) -> ShortSection:
    """The section of a ticket or an admission, from SECTION_COLUMNS."""
    return ShortSection(
        uri=f"/events/{row['section_event_id']}/sections/{row['section_id']}",
        name=row["section_name"],
        description=row["section_description"],
    )
