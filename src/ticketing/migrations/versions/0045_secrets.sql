-- Which secret the database is sealed with, known by a keyed hash; and those before it, as long as anything needs them,
-- sealed with the current one.
CREATE TABLE secrets (
    fingerprint bytea PRIMARY KEY CHECK (length(fingerprint) = 32),
    sealed bytea,
    since timestamptz NOT NULL,
    needed_until timestamptz,
    CHECK ((sealed IS NULL) = (needed_until IS NULL))
);
CREATE UNIQUE INDEX secrets_current ON secrets ((true)) WHERE sealed IS NULL;

-- What calendars know events by is made with it, and stays when the secret is changed. No secret itself.
CREATE TABLE calendar_salt (salt bytea NOT NULL);
CREATE UNIQUE INDEX calendar_salt_one ON calendar_salt ((true));

-- A gate's key, sealed. NULL: derived from the secret by an earlier version, until it is sealed anew.
ALTER TABLE tokens ADD COLUMN key_encrypted bytea;
