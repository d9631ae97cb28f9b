-- What was scanned, where it is a ticket of the event: whose it was, and for which section.
ALTER TABLE refused_scans
    ADD COLUMN ticket_id bigint, ADD COLUMN section_id bigint, ADD COLUMN patron_id bigint;

-- How many scans each gate (a token, or the account of who was signed in) was refused in a day (UTC): those that are
-- stored, and those beyond the bound, which are only counted.
CREATE TABLE refusal_tallies (
    event_id bigint NOT NULL,
    gate bigint NOT NULL,
    day date NOT NULL,
    stored integer NOT NULL,
    dropped integer NOT NULL,
    PRIMARY KEY (event_id, gate, day)
);
CREATE INDEX refusal_tallies_day ON refusal_tallies (day);
