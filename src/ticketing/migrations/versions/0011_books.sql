-- What reports count by: an item is live from sold_at until returned_at. Whose it was stands beside, so that the figures
-- of an event or a host are read from one index alone, however many orders they are of.
ALTER TABLE order_items ADD COLUMN sold_at timestamptz, ADD COLUMN customer_id bigint;
UPDATE order_items item
   SET sold_at = coalesce((SELECT min(issued_at) FROM tickets WHERE item_id = item.id), orders.placed_at),
       customer_id = orders.customer_id
  FROM orders WHERE orders.id = item.order_id AND orders.status IN ('Fulfilled', 'Refunded', 'Voided');
ALTER TABLE order_items ADD CONSTRAINT sold_to_somebody CHECK ((sold_at IS NULL) = (customer_id IS NULL));
CREATE INDEX order_items_sold ON order_items (event_id, order_id)
    INCLUDE (customer_id, section_id, quantity, price_cents, fee_cents, returned_at) WHERE sold_at IS NOT NULL;

-- Of each payment and refund the part that is for an event's items, and that for all items of a host's events. Written
-- by triggers, so that nobody who writes a payment or a refund can forget it, and never changed: what was charged or
-- given back, and when it was asked for, stays.
CREATE TABLE transaction_shares (
    party_id bigint NOT NULL, -- an event or a host; no two things share an id
    transaction_id bigint NOT NULL, -- a payment or a refund
    order_id bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    cents bigint NOT NULL, -- with the fees
    fee_cents bigint NOT NULL,
    PRIMARY KEY (party_id, transaction_id)
);
CREATE INDEX transaction_shares_opened ON transaction_shares (party_id, opened_at, transaction_id);

CREATE VIEW item_parties AS
SELECT item.id, item.order_id, party.id AS party_id, (item.price_cents + item.fee_cents) * item.quantity AS cents,
       item.fee_cents * item.quantity AS fee_cents
  FROM order_items item JOIN events event ON event.id = item.event_id
       CROSS JOIN LATERAL (VALUES (event.id), (event.host_id)) party (id);

-- A payment is for all that was ordered.
CREATE FUNCTION share_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transaction_shares (party_id, transaction_id, order_id, opened_at, cents, fee_cents)
    SELECT item.party_id, written.id, written.order_id, written.opened_at, sum(item.cents), sum(item.fee_cents)
      FROM written JOIN item_parties item ON item.order_id = written.order_id
     GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;
CREATE TRIGGER shared AFTER INSERT ON payments REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION share_payments();

-- So is what goes back whole.
CREATE FUNCTION share_whole_refunds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transaction_shares (party_id, transaction_id, order_id, opened_at, cents, fee_cents)
    SELECT item.party_id, written.id, written.order_id, written.opened_at, sum(item.cents), sum(item.fee_cents)
      FROM written JOIN item_parties item ON item.order_id = written.order_id
     WHERE written.whole
     GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;
CREATE TRIGGER shared AFTER INSERT ON refunds REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION share_whole_refunds();

-- Other refunds are for their items.
CREATE FUNCTION share_refund_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transaction_shares AS share (party_id, transaction_id, order_id, opened_at, cents, fee_cents)
    SELECT item.party_id, refund.id, refund.order_id, refund.opened_at, sum(item.cents), sum(item.fee_cents)
      FROM written JOIN refunds refund ON refund.id = written.refund_id AND NOT refund.whole
           JOIN item_parties item ON item.id = written.item_id
     GROUP BY 1, 2, 3, 4
    ON CONFLICT (party_id, transaction_id) DO UPDATE
       SET cents = share.cents + excluded.cents, fee_cents = share.fee_cents + excluded.fee_cents;
    RETURN NULL;
END $$;
CREATE TRIGGER shared AFTER INSERT ON refund_items REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION share_refund_items();

INSERT INTO transaction_shares (party_id, transaction_id, order_id, opened_at, cents, fee_cents)
SELECT item.party_id, moved.id, moved.order_id, moved.opened_at, sum(item.cents), sum(item.fee_cents)
  FROM (SELECT id, order_id, opened_at, true AS whole FROM payments
        UNION ALL SELECT id, order_id, opened_at, whole FROM refunds) moved
       JOIN item_parties item ON item.order_id = moved.order_id
 WHERE moved.whole
    OR EXISTS (SELECT FROM refund_items part WHERE part.refund_id = moved.id AND part.item_id = item.id)
 GROUP BY 1, 2, 3, 4;

-- Long lists: counted and walked along an index, whatever they are filtered or sorted by.
CREATE INDEX orders_placed ON orders (placed_at, id);
CREATE INDEX orders_status ON orders (status, id) INCLUDE (held_until);
CREATE INDEX payments_opened ON payments (opened_at, id);
CREATE INDEX payments_status ON payments (status, id);
CREATE INDEX refunds_opened ON refunds (opened_at, id);

-- An index answers alone only for pages that were swept: of these tables more often than by default.
ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE order_items SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE tickets SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE payments SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
