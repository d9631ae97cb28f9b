"""Counting anew what is derived. Money and tickets are never touched: what is wrong there, a person decides."""

from collections.abc import Callable

from ticketing.events.holds import LOCK_SECTIONS
from ticketing.history import recording as history
from ticketing.kit.database import Connection

from .checks import PRICES_COUNTED, SECTIONS_COUNTED

_MEND_SECTIONS = f"""
UPDATE sections section SET sold = wrong.true_sold, held = wrong.true_held FROM ({SECTIONS_COUNTED}) wrong
 WHERE section.id = wrong.id AND wrong.true_sold + wrong.true_held <= section.capacity
RETURNING section.event_id, section.id, wrong.sold AS old_sold, wrong.held AS old_held, section.sold, section.held"""

_MEND_PRICES = f"""
UPDATE prices price SET used = wrong.true_used FROM ({PRICES_COUNTED}) wrong
 WHERE price.id = wrong.id AND (price.quantity IS NULL OR wrong.true_used <= price.quantity)
RETURNING price.id, price.section_id, wrong.used AS old_used, price.used"""


async def mend(db: Connection, new_id: Callable[[], int]) -> list[str]:
    """Set wrong counters right, in the caller's transaction; a sentence for each.

    The sections concerned are locked while they are counted, so sales in them wait. A section that really sold more
    than it has is left as it is, for no counter would be true.
    """
    wrong = {row["id"] for row in await db.fetch(SECTIONS_COUNTED)}
    wrong |= {row["section_id"] for row in await db.fetch(PRICES_COUNTED)}
    await db.execute(LOCK_SECTIONS, sorted(wrong))
    sentences = []
    for row in await db.fetch(_MEND_SECTIONS):
        if row["id"] not in wrong:
            raise RuntimeError("a section went wrong while others were counted; run it again")
        thing = f"/events/{row['event_id']}/sections/{row['id']}"
        was = {"sold": row["old_sold"], "held": row["old_held"]}
        await history.record(db, new_id(), None, "section.counted", thing, was=was)
        sentences.append(
            f"{thing}: now counts {row['sold']} sold and {row['held']} reserved"
            f" (it was {row['old_sold']} and {row['old_held']})."
        )
    for row in await db.fetch(_MEND_PRICES):
        thing = f"price {row['id']} of section {row['section_id']}"
        sentences.append(f"{thing}: now counts {row['used']} used (it was {row['old_used']}).")
    return sentences
