-- Six-digit codes that go out by mail, to verify an address or to reset a password; a row is one request for one.
-- code_hmac: a keyed hash; NULL: no code is right (administrators reset at the server).
-- Expired is what is not completed and has its end behind it, by time or by too many wrong tries.
CREATE TABLE codes (
    id bigint PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('verification', 'reset')),
    account_id bigint NOT NULL REFERENCES accounts,
    code_hmac bytea,
    wrong integer NOT NULL DEFAULT 0 CHECK (wrong >= 0),
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    completed_at timestamptz
);
CREATE INDEX codes_account ON codes (account_id);
CREATE INDEX codes_requested ON codes (requested_at);

-- How many codes of all of an account's requests were wrong on that day (UTC). Logged, unlike `failures`: here a crash
-- must not give anybody further tries.
CREATE TABLE wrong_codes (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    day date NOT NULL,
    count integer NOT NULL CHECK (count >= 0)
);
