-- What the provider refused to give back before, by item.
CREATE INDEX refund_items_undone ON refund_items (item_id) WHERE undone;

-- Money that came for an order that was gone.
CREATE INDEX payments_unkept ON payments (id) WHERE status = 'Authorised' AND NOT kept;
CREATE INDEX refunds_of_payment ON refunds (payment_id) WHERE whole;
