-- outside a transaction
-- What a customer has of an event is counted from the index alone, however much he or the event has.
DROP INDEX CONCURRENTLY IF EXISTS order_items_bought;
CREATE INDEX CONCURRENTLY order_items_bought ON order_items (customer_id, event_id) INCLUDE (quantity)
 WHERE sold_at IS NOT NULL AND returned_at IS NULL;
