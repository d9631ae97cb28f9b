-- Until when the open payment attempt may take (NULL: none is open). While a provider is being called `held_until` lies
-- beyond it, so that no clock ends the hold under the call; afterwards both are the same moment.
ALTER TABLE orders ADD COLUMN paying_until timestamptz;

-- The refund that gives this item's money back; NULL again when the provider refused it.
ALTER TABLE order_items ADD COLUMN refund_id bigint;
CREATE INDEX order_items_owed ON order_items (order_id)
    WHERE returned_at IS NOT NULL AND refund_id IS NULL AND price_cents + fee_cents > 0;

CREATE INDEX events_cancelled ON events (id) WHERE status = 'Cancelled';

-- One row per attempt, committed before the provider is called with a key made from its id. No card, ever.
-- held_until: where the order's hold ended when the attempt began, and ends again when it is declined.
-- kept: false when the money came for an order that was gone; it goes back by itself.
CREATE TABLE payments (
    id bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    provider text NOT NULL,
    reference text NOT NULL DEFAULT '',
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    currency text NOT NULL,
    status text NOT NULL DEFAULT 'Pending' CHECK (status IN ('Pending', 'Authorised', 'Declined')),
    code text NOT NULL DEFAULT '',
    kept boolean NOT NULL DEFAULT true,
    action jsonb,
    request_digest bytea,
    opened_at timestamptz NOT NULL,
    held_until timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    ask_at timestamptz NOT NULL,
    closed_at timestamptz,
    CHECK ((status = 'Pending') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX payments_one_open ON payments (order_id) WHERE status = 'Pending';
CREATE UNIQUE INDEX payments_one_kept ON payments (order_id) WHERE status = 'Authorised' AND kept;
CREATE UNIQUE INDEX payments_reference ON payments (provider, reference) WHERE reference <> '';
CREATE INDEX payments_order ON payments (order_id, id);
CREATE INDEX payments_to_ask ON payments (ask_at) WHERE status = 'Pending';

-- What goes back, or should: the items in refund_items, or the whole of a payment that could not be kept.
CREATE TABLE refunds (
    id bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    payment_id bigint NOT NULL REFERENCES payments,
    whole boolean NOT NULL DEFAULT false,
    reference text NOT NULL DEFAULT '',
    amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
    currency text NOT NULL,
    status text NOT NULL DEFAULT 'Pending' CHECK (status IN ('Pending', 'Authorised', 'Declined')),
    code text NOT NULL DEFAULT '',
    reason text NOT NULL,
    requested_by bigint,
    request_digest bytea,
    opened_at timestamptz NOT NULL,
    ask_at timestamptz NOT NULL,
    closed_at timestamptz,
    CHECK ((status = 'Pending') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX refunds_whole_once ON refunds (payment_id) WHERE whole AND status <> 'Declined';
CREATE INDEX refunds_order ON refunds (order_id, id);
CREATE INDEX refunds_to_ask ON refunds (ask_at) WHERE status = 'Pending';

-- Each item once: `undone` is set when the provider refused, and only then may another refund take the item up.
CREATE TABLE refund_items (
    refund_id bigint NOT NULL REFERENCES refunds,
    item_id bigint NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
    undone boolean NOT NULL DEFAULT false,
    PRIMARY KEY (refund_id, item_id)
);
CREATE UNIQUE INDEX refund_items_once ON refund_items (item_id) WHERE NOT undone;

-- Webhook events of a provider, kept for good: one that was worked off is not worked off again.
CREATE TABLE provider_events (
    provider text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (provider, id)
);

-- The sandbox provider's side of the counter: what it would know if it were a company somewhere else.
CREATE TABLE sandbox_charges (
    key text PRIMARY KEY,
    reference text NOT NULL UNIQUE,
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('succeeded', 'declined', 'cancelled', 'processing', 'requires_action')),
    code text NOT NULL,
    refunds text NOT NULL,
    succeeds_at timestamptz,
    at timestamptz NOT NULL
);

CREATE TABLE sandbox_refunds (
    key text PRIMARY KEY,
    reference text NOT NULL UNIQUE,
    charge text NOT NULL REFERENCES sandbox_charges (reference),
    amount_cents bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('succeeded', 'failed')),
    at timestamptz NOT NULL
);
CREATE INDEX sandbox_refunds_charge ON sandbox_refunds (charge);
