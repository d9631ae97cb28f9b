-- The steps of `fill`, each one statement or two; `:orders` and the like are put in as numbers.
-- An id is the moment of its order, a node and a count, as everywhere; the counts keep kinds apart.

-- step: people
INSERT INTO accounts (id, number, username, username_key, email, email_key, password_hash, role, first_name, last_name,
                      verified, created_at)
SELECT (((extract(epoch FROM clock()) - :epoch) * :ticks)::bigint - :customers + n) << 16 | (:node << 8) | 200,
       'FH-' || lpad(n::text, 8, '0'), 'fullhouse' || n, 'fullhouse' || n, 'fullhouse' || n || '@example.com',
       'fullhouse' || n || '@example.com', '', 'customer',
       'Guest', 'No ' || n, true, clock() - interval '400 days'
  FROM generate_series(1, :customers) n;
INSERT INTO sessions (id, account_id, key_hash, ip, agent, started_at)
SELECT id, id, sha256(('nobody has the key of ' || id)::bytea), '', '', created_at FROM accounts WHERE number LIKE 'FH-%';
CREATE TEMP TABLE house_guest ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY id) - 1 AS number, id FROM accounts WHERE number LIKE 'FH-%';
CREATE INDEX ON house_guest (number);

-- step: drawing who orders what
CREATE TEMP TABLE house_order ON COMMIT DROP AS
SELECT drawn.n, (drawn.tick << 16) | (:node << 8) AS id, guest.id AS customer_id, drawn.placed_at,
       upper(lpad(to_hex(drawn.n::bigint * 262147 + 268435456), 12, '0')) AS number,
       CASE WHEN drawn.mixed < :orders / 10 THEN 1 ELSE 2 + drawn.mixed % greatest(:events - 1, 1) END AS event_number,
       1 + drawn.n % 4 AS quantity, drawn.n % 9 = 0 AND drawn.n % 4 > 0 AS is_split, drawn.n % 50 = 3 AS is_refunded
  FROM (SELECT n, n::bigint * 7919 % :orders AS mixed, placed_at,
               ((extract(epoch FROM placed_at) - :epoch) * :ticks)::bigint AS tick
          FROM (SELECT n, clock() - interval '300 days' + n * (interval '299 days' / :orders) AS placed_at
                  FROM (SELECT clock()) now, generate_series(1, :orders) n) spread) drawn
  JOIN house_guest guest ON guest.number = drawn.n::bigint * 104729 % :customers;

-- step: drawing items
CREATE TEMP TABLE house_item ON COMMIT DROP AS
SELECT drawn.n, drawn.part, ordered.id | (100 + drawn.part) AS id, ordered.id AS order_id, house.event_id, house.past,
       section.id AS section_id, section.cents, section.fee, section.stem, drawn.quantity, ordered.placed_at,
       ordered.customer_id, ordered.is_refunded
  FROM (SELECT n, 0 AS part, event_number, n % 13 % 4 AS place,
               CASE WHEN is_split THEN quantity - 1 ELSE quantity END AS quantity FROM house_order
         UNION ALL
        SELECT n, 1, CASE WHEN n % 2 = 0 THEN event_number ELSE 1 + event_number % :events END, (n % 13 + 1) % 4, 1
          FROM house_order WHERE is_split) drawn
  JOIN house_order ordered ON ordered.n = drawn.n
  JOIN house ON house.number = drawn.event_number
  JOIN house_section section ON section.event_number = drawn.event_number AND section.number = drawn.place;
ALTER TABLE house_order ADD COLUMN subtotal bigint, ADD COLUMN fees bigint;
UPDATE house_order SET subtotal = summed.subtotal, fees = summed.fees
  FROM (SELECT n, sum(cents * quantity) AS subtotal, sum(fee * quantity) AS fees FROM house_item GROUP BY n) summed
 WHERE summed.n = house_order.n;
ALTER TABLE house_item ADD COLUMN sold_at timestamptz;
UPDATE house_item SET is_refunded = house_item.is_refunded AND subtotal > 0,
       sold_at = house_item.placed_at + CASE WHEN subtotal > 0 THEN interval '61 seconds' ELSE interval '0' END
  FROM house_order WHERE house_order.n = house_item.n;

-- step: orders
INSERT INTO orders (id, number, customer_id, status, placed_at, subtotal_cents, fees_cents, currency)
SELECT id, number, customer_id, CASE WHEN is_refunded AND subtotal > 0 THEN 'Refunded' ELSE 'Fulfilled' END, placed_at,
       subtotal, fees, 'USD'
  FROM house_order ORDER BY n;

-- step: order items
INSERT INTO order_items (id, order_id, event_id, section_id, number, quantity, price_cents, fee_cents, returned_at,
                         refund_id, sold_at, customer_id)
SELECT id, order_id, event_id, section_id, md5(id::text)::uuid, quantity, cents, fee,
       CASE WHEN is_refunded THEN placed_at + interval '1 hour 1 second' END,
       CASE WHEN is_refunded THEN order_id | 2 END,
       sold_at, customer_id
  FROM house_item ORDER BY n, part;

-- step: payments
INSERT INTO payments (id, order_id, provider, reference, amount_cents, currency, status, opened_at, held_until,
                      deadline_at, ask_at, closed_at)
SELECT id | 1, id, 'sandbox', 'ch_sandbox_' || substr(md5(number), 1, 16), subtotal + fees, 'USD', 'Authorised',
       placed_at + interval '60 seconds', placed_at + interval '900 seconds', placed_at + interval '660 seconds',
       placed_at + interval '75 seconds', placed_at + interval '61 seconds'
  FROM house_order WHERE subtotal > 0 ORDER BY n;
INSERT INTO payments (id, order_id, provider, reference, amount_cents, currency, status, code, opened_at, held_until,
                      deadline_at, ask_at, closed_at)
SELECT id, id, 'sandbox', 'ch_sandbox_' || substr(md5(number || '-'), 1, 16), subtotal + fees, 'USD', 'Declined',
       'card_declined', placed_at + interval '30 seconds', placed_at + interval '900 seconds',
       placed_at + interval '630 seconds', placed_at + interval '45 seconds', placed_at + interval '31 seconds'
  FROM house_order WHERE subtotal > 0 AND n % 20 = 7 ORDER BY n;
INSERT INTO sandbox_charges (key, reference, amount_cents, currency, state, code, refunds, at)
SELECT 'payment-' || id, reference, amount_cents, currency,
       CASE status WHEN 'Authorised' THEN 'succeeded' ELSE 'declined' END, code, 'succeed', opened_at
  FROM payments WHERE reference LIKE 'ch\_sandbox\_%' AND order_id IN (SELECT id FROM house_order);

-- step: refunds
INSERT INTO refunds (id, order_id, payment_id, reference, amount_cents, currency, status, reason, opened_at, ask_at,
                     closed_at)
SELECT id | 2, id, id | 1, 're_sandbox_' || substr(md5(number), 1, 16), subtotal + fees, 'USD', 'Authorised', 'Rain',
       placed_at + interval '1 hour', placed_at + interval '1 hour 15 seconds', placed_at + interval '1 hour 1 second'
  FROM house_order WHERE subtotal > 0 AND is_refunded ORDER BY n;
INSERT INTO sandbox_refunds (key, reference, charge, amount_cents, state, at)
SELECT 'refund-' || (id | 2), 're_sandbox_' || substr(md5(number), 1, 16), 'ch_sandbox_' || substr(md5(number), 1, 16),
       subtotal + fees, 'succeeded', placed_at + interval '1 hour'
  FROM house_order WHERE subtotal > 0 AND is_refunded;
INSERT INTO refund_items (refund_id, item_id, amount_cents)
SELECT order_id | 2, id, (cents + fee) * quantity FROM house_item WHERE is_refunded;

-- step: tickets
-- The last eight of a serial: a number of its own among 36^8, written with 36 digits.
CREATE FUNCTION pg_temp.letters(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ',
                             (number * 700001 % 2821109907456 / worth % 36)::int + 1, 1), '')
      FROM (VALUES (1), (36), (1296), (46656), (1679616), (60466176), (2176782336), (78364164096)) digit (worth)
$$;
INSERT INTO tickets (id, serial, item_id, event_id, section_id, owner_id, status, issued_at, redeemed_at, changed_at)
SELECT id, stem || pg_temp.letters(number), item_id, event_id, section_id, customer_id, status, issued_at,
       CASE status WHEN 'Redeemed' THEN issued_at + interval '1 day' END,
       CASE status WHEN 'Issued' THEN issued_at ELSE issued_at + interval '1 day' END
  FROM (SELECT item.order_id + 3 + item.part * 50 + one.k AS id, item.stem, item.id AS item_id, item.event_id,
               item.section_id, item.customer_id, item.sold_at AS issued_at,
               CASE WHEN item.is_refunded THEN 'Voided' WHEN item.past AND item.n % 10 < 8 THEN 'Redeemed'
                    ELSE 'Issued' END AS status,
               item.n::bigint * 8 + item.part * 4 + one.k AS number
          FROM house_item item, generate_series(0, item.quantity - 1) one (k)
         ORDER BY item.n, item.part, one.k) drawn;

-- step: transfers
-- The first ticket of an order in twenty was sent to the next guest, who claimed every other of them.
CREATE TEMP TABLE house_transfer ON COMMIT DROP AS
SELECT item.order_id | 250 AS id, item.n, item.order_id + 3 AS ticket_id, item.customer_id AS sender_id,
       next.id AS recipient_id, item.section_id, item.stem, item.n % 40 = 6 AS is_claimed,
       item.sold_at + interval '1 hour' AS initiated_at, item.sold_at + interval '2 hours' AS closed_at
  FROM house_item item JOIN house_guest guest ON guest.id = item.customer_id
  JOIN house_guest next ON next.number = (guest.number + 1) % :customers
 WHERE item.part = 0 AND item.n % 40 IN (5, 6) AND NOT item.past AND NOT item.is_refunded;
INSERT INTO transfers (id, sender_id, recipient_id, status, initiated_at, closed_at)
SELECT id, sender_id, recipient_id, CASE WHEN is_claimed THEN 'Claimed' ELSE 'Pending' END, initiated_at,
       CASE WHEN is_claimed THEN closed_at END
  FROM house_transfer ORDER BY n;
INSERT INTO transfer_items (transfer_id, position, section_id, quantity)
SELECT id, 1, section_id, 1 FROM house_transfer;
INSERT INTO retired_serials (id, serial, ticket_id, transfer_id, event_id, section_id, owner_id, issued_at, retired_at)
SELECT sent.id, ticket.serial, ticket.id, sent.id, ticket.event_id, ticket.section_id, ticket.owner_id,
       ticket.issued_at, sent.closed_at
  FROM house_transfer sent JOIN tickets ticket ON ticket.id = sent.ticket_id WHERE sent.is_claimed;
UPDATE tickets SET status = 'Pending', transfer_id = sent.id, changed_at = sent.initiated_at
  FROM house_transfer sent WHERE sent.ticket_id = tickets.id AND NOT sent.is_claimed;
UPDATE tickets SET serial = sent.stem || pg_temp.letters(100000000 + sent.n), owner_id = sent.recipient_id,
                   issued_at = sent.closed_at, changed_at = sent.closed_at
  FROM house_transfer sent WHERE sent.ticket_id = tickets.id AND sent.is_claimed;

-- step: admissions
INSERT INTO admissions (id, ticket_id, event_id, section_id, patron_id, token_id, redeemer, device, admitted_at)
SELECT ticket.id, ticket.id, ticket.event_id, ticket.section_id, ticket.owner_id, token.id, 'Kofi at the gate',
       'Scanner ' || ticket.id / 65536 % 5, ticket.redeemed_at
  FROM tickets ticket JOIN house ON house.event_id = ticket.event_id
  JOIN tokens token ON token.event_id = house.event_id AND token.global
 WHERE ticket.status = 'Redeemed';

-- step: counters
UPDATE sections SET sold = coalesce(counted.sold, 0), capacity = coalesce(counted.sold, 0) * 5 / 4 + 50
  FROM house_section LEFT JOIN (
       SELECT section_id, sum(quantity)::int AS sold FROM house_item WHERE NOT is_refunded GROUP BY section_id) counted
    ON counted.section_id = house_section.id
 WHERE sections.id = house_section.id;
