-- The clock everything is decided by. Tests and test mode move it by replacing this one function.
CREATE FUNCTION clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- The instant of an event time: text as sent, local to the zone unless it carries an offset; '' is none.
-- It never leaves the database as a timestamp of a language that overflows at 9999-12-31T23:59:59.999Z.
CREATE FUNCTION instant(moment text, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN moment = '' THEN NULL
            WHEN moment ~ '(Z|[+-]\d\d:?\d\d)$' THEN moment::timestamptz
            ELSE moment::timestamp AT TIME ZONE zone
        END
    $$;

CREATE TABLE regions (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    country text NOT NULL,
    district text NOT NULL,
    city text NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX regions_name ON regions (lower(name)) WHERE removed_at IS NULL;

CREATE TABLE categories (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    subcategories text[] NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX categories_name ON categories (lower(name)) WHERE removed_at IS NULL;

CREATE TABLE venues (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    region_id bigint NOT NULL REFERENCES regions,
    address text NOT NULL,
    longitude double precision NOT NULL,
    latitude double precision NOT NULL,
    timezone text NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX venues_name ON venues (lower(name)) WHERE removed_at IS NULL;
CREATE INDEX venues_region ON venues (region_id);

-- Who people are. An integration acts as an account of its own (role = its access level, no password).
CREATE TABLE accounts (
    id bigint PRIMARY KEY,
    number text NOT NULL UNIQUE,
    username text NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('public', 'customer', 'support', 'host', 'administrator')),
    verified boolean NOT NULL DEFAULT false,
    activated boolean NOT NULL DEFAULT true,
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    title text NOT NULL DEFAULT '',
    date_of_birth text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    country text NOT NULL DEFAULT '',
    first_address_line text NOT NULL DEFAULT '',
    second_address_line text NOT NULL DEFAULT '',
    city text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT '',
    preferred_region_id bigint REFERENCES regions,
    integration boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    -- People are identified by either, so a name that looks like an address is one's own.
    CONSTRAINT nobody_elses_address
        CHECK (integration OR removed_at IS NOT NULL OR username NOT LIKE '%@%' OR lower(username) = lower(email))
);
CREATE UNIQUE INDEX accounts_username ON accounts (lower(username)) WHERE removed_at IS NULL AND NOT integration;
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email)) WHERE removed_at IS NULL AND NOT integration;
CREATE INDEX accounts_administrators ON accounts (id) WHERE role = 'administrator' AND removed_at IS NULL;

CREATE TABLE sessions (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    key_hash bytea NOT NULL UNIQUE,
    ip text NOT NULL,
    agent text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX sessions_account ON sessions (account_id, id);

CREATE TABLE integrations (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL,
    access text NOT NULL CHECK (access IN ('public', 'customer', 'support', 'host', 'administrator')),
    key_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX integrations_name ON integrations (lower(name)) WHERE revoked_at IS NULL;

CREATE TABLE hosts (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    contact text NOT NULL,
    email text NOT NULL,
    description text NOT NULL,
    phone text NOT NULL,
    website text NOT NULL,
    country text NOT NULL,
    first_address_line text NOT NULL,
    second_address_line text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    business_number text NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX hosts_name ON hosts (lower(name)) WHERE removed_at IS NULL;

CREATE TABLE host_administrators (
    host_id bigint NOT NULL REFERENCES hosts,
    account_id bigint NOT NULL REFERENCES accounts,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (host_id, account_id)
);
CREATE INDEX host_administrators_account ON host_administrators (account_id);

-- Event times are kept as sent; the instants beside them are computed in the event's zone (the venue's).
CREATE TABLE events (
    id bigint PRIMARY KEY,
    host_id bigint NOT NULL REFERENCES hosts,
    category_id bigint NOT NULL REFERENCES categories,
    subcategory text NOT NULL,
    venue_id bigint NOT NULL REFERENCES venues,
    timezone text NOT NULL,
    type text NOT NULL CHECK (type IN ('Standard', 'Registration')),
    title text NOT NULL,
    description text NOT NULL,
    status text NOT NULL CHECK (status IN ('Draft', 'Submitted', 'Listed', 'Unlisted', 'Cancelled')),
    approved boolean NOT NULL DEFAULT false,
    public boolean NOT NULL,
    featured boolean NOT NULL DEFAULT false,
    start_text text NOT NULL,
    end_text text NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    disclaimer text NOT NULL,
    tags jsonb NOT NULL,
    published_at timestamptz NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX events_title ON events (lower(title)) WHERE removed_at IS NULL;
CREATE INDEX events_host ON events (host_id, id);
CREATE INDEX events_venue ON events (venue_id);
CREATE INDEX events_category ON events (category_id);
CREATE INDEX events_published ON events (id) WHERE status = 'Listed' AND public AND removed_at IS NULL;

CREATE TABLE event_images (
    event_id bigint NOT NULL REFERENCES events,
    kind text NOT NULL CHECK (kind IN ('banner', 'thumbnail')),
    content_type text NOT NULL,
    etag text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (event_id, kind)
);

-- sold: in live tickets. held: in orders that wait for payment (some of them perhaps due: see order_items.held_until).
CREATE TABLE sections (
    id bigint PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES events,
    name text NOT NULL,
    description text NOT NULL,
    base_price_cents bigint NOT NULL CHECK (base_price_cents >= 0),
    sales_start_text text NOT NULL,
    sales_end_text text NOT NULL,
    sales_start timestamptz,
    sales_end timestamptz,
    active boolean NOT NULL,
    capacity integer NOT NULL CHECK (capacity >= 0),
    sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
    held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    removed_at timestamptz,
    CONSTRAINT never_oversold CHECK (sold + held <= capacity)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX sections_name ON sections (event_id, lower(name)) WHERE removed_at IS NULL;

-- Timed and limited prices (early bird); used: places sold or held at this price.
CREATE TABLE prices (
    id bigint PRIMARY KEY,
    section_id bigint NOT NULL REFERENCES sections,
    name text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    from_text text NOT NULL,
    to_text text NOT NULL,
    opens_at timestamptz,
    closes_at timestamptz,
    quantity integer CHECK (quantity > 0),
    used integer NOT NULL DEFAULT 0 CHECK (used >= 0),
    removed_at timestamptz,
    CONSTRAINT never_past_its_quantity CHECK (used <= quantity)
) WITH (fillfactor = 50);
CREATE INDEX prices_section ON prices (section_id) WHERE removed_at IS NULL;

CREATE TABLE submissions (
    id bigint PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES events,
    note text NOT NULL,
    submitted_by bigint NOT NULL REFERENCES accounts,
    submitted_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('Pending', 'Approved', 'Rejected', 'Withdrawn')),
    decided_by bigint REFERENCES accounts,
    decided_at timestamptz,
    decision_note text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX submissions_pending ON submissions (event_id) WHERE status = 'Pending';

-- Orders, items and tickets carry no foreign keys: what they refer to is never deleted (removed_at), sections and
-- customers are locked while they are written, and each key would cost a look-up and a row lock per row of a batch.

-- A Placed order whose held_until has passed is Timed Out for every reader, whether or not it was tidied yet.
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    number text NOT NULL UNIQUE,
    customer_id bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('Placed', 'Timed Out', 'Cancelled', 'Fulfilled', 'Refunded', 'Voided')),
    placed_at timestamptz NOT NULL,
    held_until timestamptz,
    subtotal_cents bigint NOT NULL CHECK (subtotal_cents >= 0),
    fees_cents bigint NOT NULL CHECK (fees_cents >= 0),
    currency text NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id, id);
CREATE INDEX orders_open ON orders (customer_id) WHERE status = 'Placed';
CREATE INDEX orders_held ON orders (held_until) WHERE status = 'Placed';

-- held_until: set while the item holds places that are not sold; given back or sold, it is NULL.
-- An item is live from fulfilment until returned_at.
CREATE TABLE order_items (
    id bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    event_id bigint NOT NULL,
    section_id bigint NOT NULL,
    price_id bigint,
    number uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    fee_cents bigint NOT NULL CHECK (fee_cents >= 0),
    held_until timestamptz,
    returned_at timestamptz
);
CREATE INDEX order_items_order ON order_items (order_id);
CREATE INDEX order_items_section ON order_items (section_id, id);
CREATE INDEX order_items_held ON order_items (section_id, held_until) WHERE held_until IS NOT NULL;

CREATE TABLE tickets (
    id bigint PRIMARY KEY,
    serial text NOT NULL UNIQUE,
    item_id bigint NOT NULL,
    event_id bigint NOT NULL,
    section_id bigint NOT NULL,
    owner_id bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('Issued', 'Pending', 'Redeemed', 'Voided')),
    issued_at timestamptz NOT NULL,
    redeemed_at timestamptz,
    changed_at timestamptz NOT NULL,
    CHECK ((status = 'Redeemed') <= (redeemed_at IS NOT NULL))
);
CREATE INDEX tickets_owner ON tickets (owner_id, id);
CREATE INDEX tickets_item ON tickets (item_id);
CREATE INDEX tickets_section ON tickets (section_id, id);
CREATE INDEX tickets_changed ON tickets (event_id, changed_at);
-- What a gate downloads, counted and paged through without looking at what was redeemed long ago.
CREATE INDEX tickets_valid ON tickets (event_id, id) INCLUDE (section_id) WHERE status = 'Issued';

-- Gate tokens. The code is what staff type (encrypted, found by its HMAC); the key is derived from the server's secret.
CREATE TABLE tokens (
    id bigint PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES events,
    code_encrypted bytea NOT NULL,
    code_hmac bytea NOT NULL UNIQUE,
    key_hash bytea NOT NULL UNIQUE,
    global boolean NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz
);
CREATE UNIQUE INDEX tokens_global ON tokens (event_id) WHERE global AND removed_at IS NULL;
CREATE INDEX tokens_event ON tokens (event_id);

-- The sections of a token that is not global; the global one opens all, later ones too.
CREATE TABLE token_sections (
    token_id bigint NOT NULL REFERENCES tokens,
    section_id bigint NOT NULL REFERENCES sections,
    PRIMARY KEY (token_id, section_id)
);

-- No foreign keys here either: a key would lock the section's row, for which a whole on-sale may be queueing.
CREATE TABLE admissions (
    id bigint PRIMARY KEY,
    ticket_id bigint NOT NULL UNIQUE,
    event_id bigint NOT NULL,
    section_id bigint NOT NULL,
    patron_id bigint NOT NULL,
    token_id bigint,
    redeemer text NOT NULL,
    device text NOT NULL,
    admitted_at timestamptz NOT NULL
);
CREATE INDEX admissions_event ON admissions (event_id, id);

-- Scans that opened nothing, with the reason; remembered although they were refused.
CREATE TABLE refused_scans (
    id bigint PRIMARY KEY,
    event_id bigint NOT NULL,
    token_id bigint,
    serial text NOT NULL,
    reason text NOT NULL,
    redeemer text NOT NULL,
    device text NOT NULL,
    scanned_at timestamptz NOT NULL
);
CREATE INDEX refused_scans_event ON refused_scans (event_id, id);

-- Who did what to which thing, written by the action itself.
CREATE TABLE history (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    account_id bigint,
    request text NOT NULL,
    action text NOT NULL,
    thing text NOT NULL,
    detail jsonb NOT NULL
);
CREATE INDEX history_thing ON history (thing, id);

-- Claimed in a committed row before the work; status and body are set when it is done.
CREATE TABLE idempotency_keys (
    caller bytea NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    request_hmac bytea NOT NULL,
    lease_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status integer,
    body bytea,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Failures against one target (an account, a code's address), counted over all workers; worth losing in a crash.
CREATE UNLOGGED TABLE failures (
    target text PRIMARY KEY,
    count integer NOT NULL,
    until timestamptz NOT NULL
);
