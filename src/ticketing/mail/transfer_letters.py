"""Letters about tickets that change hands."""

from .content import Compose, Content, Desk
from .happenings import find_happenings
from .rendering import person_name, title

# The side that the letter is not for: its name as far as it is known, its number.
_TRANSFER = """
SELECT transfer.sender_id = $2 AS sent, other.number, other.first_name, other.last_name
  FROM transfers transfer
       JOIN accounts other ON other.id = CASE transfer.sender_id WHEN $2 THEN transfer.recipient_id
                                                                 ELSE transfer.sender_id END
 WHERE transfer.id = $1 AND $2 IN (transfer.sender_id, transfer.recipient_id) AND transfer.status = $3"""

_ITEMS = """
SELECT section.event_id, section.name, item.quantity
  FROM transfer_items item JOIN sections section ON section.id = item.section_id
 WHERE item.transfer_id = $1 ORDER BY item.position"""


def _about(status: str) -> Compose:
    """The composer of letters that are true while the transfer is in this status."""

    async def compose(desk: Desk) -> Content | None:
        transfer_id = desk.about["transfer"]
        transfer = await desk.db.fetchrow(_TRANSFER, transfer_id, desk.person.id, status)
        if transfer is None:
            return None
        items = await desk.db.fetch(_ITEMS, transfer_id)
        happenings = await find_happenings(desk.db, list({item["event_id"] for item in items}))
        events = [
            (
                event,
                [
                    {"section": title(item["name"]), "quantity": item["quantity"], "amount": ""}
                    for item in items
                    if item["event_id"] == event.id
                ],
            )
            for event in happenings
        ]
        return Content(
            {
                "sent": transfer["sent"],
                "other": person_name(transfer["first_name"], transfer["last_name"]),
                "other_number": transfer["number"],
                "events": events,
                "count": sum(item["quantity"] for item in items),
            }
        )

    return compose


COMPOSERS: dict[str, Compose] = {
    "transfer_received": _about("Pending"),
    "transfer_claimed": _about("Claimed"),
    "transfer_cancelled": _about("Cancelled"),
}
