-- outside a transaction
-- Money is given back once its refund is done, whenever the tickets were: reports ask for each item's refund.
DROP INDEX CONCURRENTLY IF EXISTS order_items_reported;
CREATE INDEX CONCURRENTLY order_items_reported ON order_items (event_id, order_id)
    INCLUDE (customer_id, section_id, quantity, price_cents, fee_cents, returned_at, refund_id) WHERE sold_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS order_items_sold;
