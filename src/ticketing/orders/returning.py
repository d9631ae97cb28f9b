"""Giving places and tickets back after they were paid for."""

from collections.abc import Sequence

from ticketing.events.voiding import void_tickets
from ticketing.kit.database import Connection

# Of the items that are live: what was sold is for sale again, each counter under its section's lock.
_RETURN = """
WITH returned AS (
    UPDATE order_items SET returned_at = clock() WHERE id = ANY($1::bigint[]) AND returned_at IS NULL
    RETURNING section_id, price_id, quantity),
counted AS (
    UPDATE sections section SET sold = section.sold - given.quantity
      FROM (SELECT section_id, sum(quantity)::int AS quantity FROM returned GROUP BY section_id) given
     WHERE section.id = given.section_id)
UPDATE prices price SET used = price.used - given.quantity
  FROM (SELECT price_id, sum(quantity)::int AS quantity FROM returned WHERE price_id IS NOT NULL GROUP BY 1) given
 WHERE price.id = given.price_id"""


async def return_items(db: Connection, item_ids: Sequence[int]) -> None:
    """End these items: their tickets are Voided wherever they are, their places for sale again; each once.

    Their sections are locked by the caller. A transfer that a ticket is part of ends here, too.
    """
    await void_tickets(db, item_ids)
    await db.execute(_RETURN, item_ids)
