"""The promises of the platform, each as a query for what breaks it.

A query has one row per breach: `thing` names what is concerned, `fault` says what is wrong with it. All of them are
asked in one snapshot of a live database, in which every promise holds at every commit - so what is found is a fault,
and not a moment. The clock is asked only where waiting itself is the fault.
"""

from dataclasses import dataclass

from ticketing.kit.collation import VERSION

LATE_MINUTES = 10  # what recurs every half minute and was not done in this time will not be done


@dataclass(frozen=True)
class Check:
    """A promise, and how to see that it is broken; `derived`: it follows from other rows and may be counted anew."""

    name: str
    promise: str
    sql: str
    derived: bool = False


# An item takes places while it is held, or sold and not given back.
ITEM_STATE = """
items AS MATERIALIZED (
    SELECT item.id, item.order_id, item.event_id, item.section_id, item.price_id, item.quantity, item.returned_at,
           item.held_until IS NOT NULL AS is_held,
           orders.status IN ('Fulfilled', 'Refunded', 'Voided') AND item.returned_at IS NULL AS is_live,
           orders.status, orders.number
      FROM order_items item LEFT JOIN orders ON orders.id = item.order_id)"""

_ITEM = "format('item %s of order %s', items.id, coalesce(items.number, '?'))"

SECTIONS_COUNTED = f"""
WITH {ITEM_STATE},
counted AS (
    SELECT section_id, sum(quantity) FILTER (WHERE is_live) AS sold, sum(quantity) FILTER (WHERE is_held) AS held
      FROM items WHERE is_live OR is_held GROUP BY section_id)
SELECT section.id, section.event_id, section.sold, section.held, section.capacity,
       coalesce(counted.sold, 0)::int AS true_sold, coalesce(counted.held, 0)::int AS true_held
  FROM sections section LEFT JOIN counted ON counted.section_id = section.id
 WHERE section.sold <> coalesce(counted.sold, 0) OR section.held <> coalesce(counted.held, 0)"""

PRICES_COUNTED = f"""
WITH {ITEM_STATE},
counted AS (SELECT price_id, sum(quantity) AS used FROM items WHERE (is_live OR is_held) AND price_id IS NOT NULL
             GROUP BY price_id)
SELECT price.id, price.section_id, price.used, coalesce(counted.used, 0)::int AS true_used
  FROM prices price LEFT JOIN counted ON counted.price_id = price.id
 WHERE price.used <> coalesce(counted.used, 0)"""

CHECKS = [
    Check(
        "capacity",
        "No section has more places sold and reserved than its capacity.",
        """
SELECT format('/events/%s/sections/%s', event_id, id) AS thing,
       format('%s sold and %s reserved of %s', sold, held, capacity) AS fault
  FROM sections WHERE sold + held > capacity OR sold < 0 OR held < 0""",
    ),
    Check(
        "section counters",
        "What a section counts as sold and reserved is what its orders add up to.",
        f"""
SELECT format('/events/%s/sections/%s', event_id, id) AS thing,
       format('it counts %s sold and %s reserved, its orders have %s and %s', sold, held, true_sold, true_held)
       AS fault FROM ({SECTIONS_COUNTED}) wrong""",
        derived=True,
    ),
    Check(
        "price counters",
        "What a limited price counts as used is what was ordered at it.",
        f"""
SELECT format('price %s of section %s', id, section_id) AS thing,
       format('it counts %s used, its orders have %s', used, true_used) AS fault FROM ({PRICES_COUNTED}) wrong""",
        derived=True,
    ),
    Check(
        "complete orders",
        "Every order has items, and they add up to its total.",
        """
SELECT format('/orders/%s', orders.number) AS thing,
       CASE WHEN items.subtotal IS NULL THEN 'it has no items'
            ELSE format('it asks %s + %s cents, its items %s + %s', orders.subtotal_cents, orders.fees_cents,
                        items.subtotal, items.fees) END AS fault
  FROM orders LEFT JOIN (
       SELECT order_id, sum(quantity * price_cents) AS subtotal, sum(quantity * fee_cents) AS fees
         FROM order_items GROUP BY order_id) items ON items.order_id = orders.id
 WHERE items.subtotal IS DISTINCT FROM orders.subtotal_cents OR items.fees IS DISTINCT FROM orders.fees_cents""",
    ),
    Check(
        "items of orders",
        "Every item belongs to an order, and holds places only while that waits for payment.",
        f"""
WITH {ITEM_STATE}
SELECT {_ITEM} AS thing,
       CASE WHEN status IS NULL THEN 'its order does not exist'
            WHEN is_held THEN format('it holds places although its order is %s', status)
            ELSE format('it was given back although its order is %s', status) END AS fault
  FROM items
 WHERE status IS NULL OR (is_held AND status <> 'Placed')
    OR (returned_at IS NOT NULL AND status NOT IN ('Fulfilled', 'Refunded', 'Voided'))
    OR (is_live AND status IN ('Refunded', 'Voided'))""",
    ),
    Check(
        "tickets of items",
        "A sold item has all its tickets; one that is given back, or was never paid, has none that is good.",
        f"""
WITH {ITEM_STATE},
issued AS (
    SELECT item_id, count(*) AS tickets, count(*) FILTER (WHERE status <> 'Voided') AS good
      FROM tickets GROUP BY item_id)
SELECT {_ITEM} AS thing,
       format('%s tickets are good, it should be %s', coalesce(good, 0), CASE WHEN is_live THEN quantity ELSE 0 END)
       AS fault
  FROM items LEFT JOIN issued ON issued.item_id = items.id
 WHERE coalesce(good, 0) <> CASE WHEN is_live THEN quantity ELSE 0 END OR coalesce(tickets, 0) > quantity""",
    ),
    Check(
        "ticket belonging",
        "Every ticket is of an item, in that item's section, and has one owner.",
        """
SELECT format('ticket %s', ticket.serial) AS thing,
       CASE WHEN item.id IS NULL THEN 'its item does not exist'
            WHEN owner.id IS NULL THEN 'its owner does not exist'
            ELSE 'it is of another section or event than its item' END AS fault
  FROM tickets ticket LEFT JOIN order_items item ON item.id = ticket.item_id
       LEFT JOIN accounts owner ON owner.id = ticket.owner_id
 WHERE item.id IS NULL OR owner.id IS NULL OR item.section_id <> ticket.section_id OR item.event_id <> ticket.event_id
""",
    ),
    Check(
        "retired serials",
        "A serial that opens nothing any more is no ticket's.",
        """
SELECT format('serial %s', retired.serial) AS thing, 'it was retired, and a ticket bears it' AS fault
  FROM retired_serials retired JOIN tickets ticket ON ticket.serial = retired.serial""",
    ),
    Check(
        "admissions",
        "A ticket was let in once at most, and is Redeemed exactly when it was (or was Voided since).",
        """
SELECT format('ticket %s', coalesce(ticket.serial, admission.ticket_id::text)) AS thing,
       CASE WHEN ticket.id IS NULL THEN 'an admission names it, and it does not exist'
            WHEN admission.id IS NULL THEN 'it is Redeemed, and no admission says when'
            WHEN admission.event_id <> ticket.event_id THEN 'it was let in at another event'
            ELSE format('it was let in, and is %s', ticket.status) END AS fault
  FROM tickets ticket FULL JOIN admissions admission ON admission.ticket_id = ticket.id
 WHERE (ticket.status = 'Redeemed' AND admission.id IS NULL)
    OR (admission.id IS NOT NULL AND (ticket.id IS NULL OR ticket.status NOT IN ('Redeemed', 'Voided')
                                      OR admission.event_id <> ticket.event_id))
UNION ALL
SELECT format('ticket %s', ticket_id), format('it was let in %s times', count(*))
  FROM admissions GROUP BY ticket_id HAVING count(*) > 1""",
    ),
    Check(
        "tickets in transfer",
        "A ticket is Pending exactly while one open transfer of its owner holds it.",
        """
SELECT format('ticket %s', ticket.serial) AS thing,
       CASE WHEN ticket.status <> 'Pending' THEN format('it is %s, and in a transfer', ticket.status)
            WHEN transfer.id IS NULL THEN 'it is Pending, and in no transfer'
            WHEN transfer.status <> 'Pending' THEN format('it is Pending, its transfer is %s', transfer.status)
            ELSE 'its transfer was sent by somebody who does not own it' END AS fault
  FROM tickets ticket LEFT JOIN transfers transfer ON transfer.id = ticket.transfer_id
 WHERE (ticket.status = 'Pending' OR ticket.transfer_id IS NOT NULL)
   AND (ticket.status <> 'Pending' OR transfer.id IS NULL OR transfer.status <> 'Pending'
        OR transfer.sender_id <> ticket.owner_id)""",
    ),
    Check(
        "open transfers",
        "An open transfer holds the tickets that it says.",
        """
WITH promised AS (
    SELECT item.transfer_id, item.section_id, sum(item.quantity) AS quantity
      FROM transfer_items item JOIN transfers transfer ON transfer.id = item.transfer_id
     WHERE transfer.status = 'Pending' GROUP BY 1, 2),
kept AS (SELECT transfer_id, section_id, count(*) AS quantity FROM tickets WHERE transfer_id IS NOT NULL GROUP BY 1, 2)
SELECT format('/transfers/%s', coalesce(promised.transfer_id, kept.transfer_id)) AS thing,
       format('it says %s tickets of section %s, and holds %s', coalesce(promised.quantity, 0),
              coalesce(promised.section_id, kept.section_id), coalesce(kept.quantity, 0)) AS fault
  FROM promised FULL JOIN kept USING (transfer_id, section_id)
 WHERE promised.quantity IS DISTINCT FROM kept.quantity""",
    ),
    Check(
        "reported items",
        "Reports count the items of all orders that were fulfilled, for their customers, and no others.",
        """
SELECT format('item %s of order %s', item.id, orders.number) AS thing,
       CASE WHEN item.sold_at IS NULL THEN format('its order is %s, and it does not say since when it is sold',
                                                  orders.status)
            WHEN item.customer_id = orders.customer_id THEN format('its order is %s, and it says it is sold',
                                                                   orders.status)
            ELSE 'it says it was sold to somebody else than its order' END AS fault
  FROM order_items item JOIN orders ON orders.id = item.order_id
 WHERE (item.sold_at IS NOT NULL) <> (orders.status IN ('Fulfilled', 'Refunded', 'Voided'))
    OR item.customer_id <> orders.customer_id""",
    ),
    Check(
        "shares of transactions",
        "The parts of events, and of hosts, in a payment or refund add up to it.",
        """
WITH shared AS (
    SELECT share.transaction_id AS id, sum(share.cents) FILTER (WHERE event.id IS NOT NULL) AS events,
           sum(share.cents) FILTER (WHERE event.id IS NULL) AS hosts
      FROM transaction_shares share LEFT JOIN events event ON event.id = share.party_id GROUP BY 1)
SELECT format('transaction %s of order %s', moved.id, moved.order_id) AS thing,
       format('it moves %s cents, of which events have %s and hosts %s', moved.amount_cents, coalesce(events, 0),
              coalesce(hosts, 0)) AS fault
  FROM (SELECT id, order_id, amount_cents FROM payments
        UNION ALL SELECT id, order_id, amount_cents FROM refunds) moved LEFT JOIN shared ON shared.id = moved.id
 WHERE shared.events IS DISTINCT FROM moved.amount_cents OR shared.hosts IS DISTINCT FROM moved.amount_cents""",
    ),
    Check(
        "paid orders",
        "An order that cost something was paid once, with what it cost, before it was fulfilled.",
        """
WITH paid AS (
    SELECT order_id, count(*) AS payments, sum(amount_cents) AS cents FROM payments
     WHERE status = 'Authorised' AND kept GROUP BY order_id)
SELECT format('/orders/%s', coalesce(orders.number, paid.order_id::text)) AS thing,
       CASE WHEN orders.id IS NULL THEN 'a payment names it, and it does not exist'
            WHEN paid.payments IS NULL THEN format('it is %s, and nobody paid for it', orders.status)
            WHEN paid.payments > 1 THEN format('it was paid %s times', paid.payments)
            WHEN orders.status NOT IN ('Fulfilled', 'Refunded') THEN format('it was paid, and is %s', orders.status)
            ELSE format('it cost %s cents, and %s were paid', orders.subtotal_cents + orders.fees_cents, paid.cents)
       END AS fault
  FROM orders FULL JOIN paid ON paid.order_id = orders.id
 WHERE orders.id IS NULL
    OR (paid.payments IS NULL AND orders.status IN ('Fulfilled', 'Refunded')
        AND orders.subtotal_cents + orders.fees_cents > 0)
    OR paid.payments > 1
    OR (paid.payments IS NOT NULL AND (orders.status NOT IN ('Fulfilled', 'Refunded')
                                       OR paid.cents <> orders.subtotal_cents + orders.fees_cents))""",
    ),
    Check(
        "open payments",
        "An order waits for a payment exactly while one attempt is open.",
        """
SELECT format('/orders/%s', coalesce(orders.number, open.order_id::text)) AS thing,
       CASE WHEN orders.paying_until IS NULL THEN 'an attempt to pay is open, and the order does not wait for it'
            ELSE 'it waits for a payment, and no attempt is open' END AS fault
  FROM (SELECT id, number, paying_until FROM orders WHERE paying_until IS NOT NULL) orders
       FULL JOIN (SELECT payment.order_id FROM payments payment JOIN orders whole ON whole.id = payment.order_id
                   WHERE payment.status = 'Pending' AND whole.status = 'Placed') open ON open.order_id = orders.id
 WHERE orders.id IS NULL OR open.order_id IS NULL""",
    ),
    Check(
        "refunds within payments",
        "No more goes back than was paid.",
        """
WITH back AS (
    SELECT payment_id, sum(amount_cents) AS cents FROM refunds WHERE status <> 'Declined' GROUP BY payment_id)
SELECT format('payment %s', back.payment_id) AS thing,
       format('%s cents go back of %s that were paid', back.cents, coalesce(payment.amount_cents, 0)) AS fault
  FROM back LEFT JOIN payments payment ON payment.id = back.payment_id AND payment.status = 'Authorised'
 WHERE back.cents > coalesce(payment.amount_cents, 0)""",
    ),
    Check(
        "items given back once",
        "The money of an item goes back once at most, and only when its tickets did.",
        """
SELECT format('item %s', item.item_id) AS thing,
       CASE WHEN count(*) > 1 THEN format('%s refunds give it back', count(*))
            ELSE 'its money goes back, and it is still sold' END AS fault
  FROM refund_items item LEFT JOIN order_items sold ON sold.id = item.item_id
 WHERE NOT item.undone
 GROUP BY item.item_id HAVING count(*) > 1 OR bool_or(sold.returned_at IS NULL)""",
    ),
    Check(
        "refunds add up",
        "A refund is what its items cost.",
        """
SELECT format('refund %s', refund.id) AS thing,
       format('it is %s cents, its items are %s', refund.amount_cents, coalesce(sum(item.amount_cents), 0)) AS fault
  FROM refunds refund LEFT JOIN refund_items item ON item.refund_id = refund.id
 WHERE NOT refund.whole
 GROUP BY refund.id HAVING refund.amount_cents <> coalesce(sum(item.amount_cents), 0)""",
    ),
    Check(
        "money that could not be kept",
        "Money that came for an order that was gone goes back.",
        """
SELECT format('payment %s', payment.id) AS thing, 'nothing gives its money back' AS fault
  FROM payments payment
 WHERE payment.status = 'Authorised' AND NOT payment.kept
   AND NOT EXISTS (SELECT FROM refunds refund
                    WHERE refund.payment_id = payment.id AND refund.whole AND refund.status <> 'Declined')""",
    ),
    Check(
        "money that is owed",
        "What was given back is refunded within minutes.",
        f"""
SELECT format('item %s of order %s', item.id, orders.number) AS thing,
       'its tickets were given back, and its money was not' AS fault
  FROM order_items item JOIN orders ON orders.id = item.order_id
 WHERE item.returned_at < clock() - interval '{LATE_MINUTES} minutes' AND item.price_cents + item.fee_cents > 0
   AND orders.status = 'Fulfilled'
   AND NOT EXISTS (SELECT FROM refund_items back WHERE back.item_id = item.id AND NOT back.undone)""",
    ),
    Check(
        "unanswered questions",
        "What the payment provider left open is asked for again, within minutes.",
        f"""
SELECT format('payment %s', id) AS thing, 'it is open, and nobody asks about it' AS fault
  FROM payments WHERE status = 'Pending' AND greatest(ask_at, deadline_at) < clock() - interval '{LATE_MINUTES} minutes'
UNION ALL
SELECT format('refund %s', id), 'it is open, and nobody asks about it'
  FROM refunds WHERE status = 'Pending' AND ask_at < clock() - interval '{LATE_MINUTES} minutes'""",
    ),
    Check(
        "letters",
        "Letters are sent within an hour.",
        """
SELECT format('letter %s (%s)', id, letter) AS thing, format('it has been waiting since %s', posted_at) AS fault
  FROM mails WHERE status = 'Waiting' AND posted_at < clock() - interval '1 hour'""",
    ),
    Check(
        "sort keys",
        "Names are sorted by the table of this version.",
        f"""
SELECT 'the order of names' AS thing, format('it is that of table %s: run `ticketing sort-keys`', version) AS fault
  FROM sort_keys WHERE version <> {VERSION}""",
    ),
]
