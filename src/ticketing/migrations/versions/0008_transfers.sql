-- Tickets on their way from one account to another. As long as it is Pending the tickets stay the sender's.
CREATE TABLE transfers (
    id bigint PRIMARY KEY,
    sender_id bigint NOT NULL,
    recipient_id bigint NOT NULL,
    status text NOT NULL DEFAULT 'Pending' CHECK (status IN ('Pending', 'Claimed', 'Cancelled')),
    initiated_at timestamptz NOT NULL,
    closed_at timestamptz,
    CHECK ((status = 'Pending') = (closed_at IS NULL)),
    CHECK (sender_id <> recipient_id)
);
CREATE INDEX transfers_sender ON transfers (sender_id, id);
CREATE INDEX transfers_recipient ON transfers (recipient_id, id);

-- What was sent, in the order in which it was asked for; it stands when the transfer is long over.
CREATE TABLE transfer_items (
    transfer_id bigint NOT NULL REFERENCES transfers,
    position integer NOT NULL,
    section_id bigint NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (transfer_id, position)
);

-- The open transfer that a ticket is part of: one at a time, and Pending means nothing else.
ALTER TABLE tickets ADD COLUMN transfer_id bigint;
ALTER TABLE tickets ADD CONSTRAINT pending_is_in_a_transfer CHECK ((status = 'Pending') = (transfer_id IS NOT NULL));
CREATE INDEX tickets_transfer ON tickets (transfer_id) WHERE transfer_id IS NOT NULL;

-- Serials that open nothing any more because their ticket changed hands, as their former owner knew them.
CREATE TABLE retired_serials (
    id bigint PRIMARY KEY,
    serial text NOT NULL UNIQUE,
    ticket_id bigint NOT NULL,
    transfer_id bigint NOT NULL,
    event_id bigint NOT NULL,
    section_id bigint NOT NULL,
    owner_id bigint NOT NULL,
    issued_at timestamptz NOT NULL,
    retired_at timestamptz NOT NULL
);
CREATE INDEX retired_serials_changed ON retired_serials (event_id, retired_at);
