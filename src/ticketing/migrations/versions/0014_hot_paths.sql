-- Removed ones too: what they sold is reported for good.
CREATE INDEX sections_event ON sections (event_id);

-- A customer's open orders, found by their hold: it lies ahead for no others.
DROP INDEX orders_open;
CREATE INDEX orders_open ON orders (customer_id, held_until) WHERE held_until IS NOT NULL;
ALTER TABLE orders SET (autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE order_items SET (autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE tickets SET (autovacuum_analyze_scale_factor = 0.02);
