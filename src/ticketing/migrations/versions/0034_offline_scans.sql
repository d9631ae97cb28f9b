-- What gates let in without a network, as they say it happened; each once, whatever is sent how often. Where the ticket
-- could not be used (any more), the row is a conflict and says why: the first admission stands.
CREATE TABLE offline_scans (
    id bigint PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES events,
    nonce text NOT NULL,
    token_id bigint,
    account_id bigint,
    serial text NOT NULL,
    ticket_id bigint,
    section_id bigint,
    patron_id bigint,
    redeemer text NOT NULL,
    device text NOT NULL,
    scanned_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    reason text NOT NULL,
    admission_id bigint,
    UNIQUE (event_id, nonce),
    CHECK ((reason = '') = (admission_id IS NOT NULL))
);
CREATE INDEX offline_scans_conflicts ON offline_scans (event_id, id) WHERE reason <> '';
