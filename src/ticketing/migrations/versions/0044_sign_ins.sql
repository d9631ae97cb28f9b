-- Codes that go out by mail to sign in with. A row is one request for one: about an address, whether or not an account
-- has it, so that it tells nobody. email: where the code goes, as its account has it or as it was typed. code_hmac: a
-- keyed hash; NULL: none was sent and none is right.
-- wrong: how many tries were; wrong_known: those of them at a request that was made, and tried, where the account has
-- signed in before.
CREATE TABLE sign_ins (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL,
    code_hmac bytea,
    known boolean NOT NULL,
    wrong integer NOT NULL DEFAULT 0 CHECK (wrong >= 0),
    wrong_known integer NOT NULL DEFAULT 0 CHECK (wrong_known BETWEEN 0 AND wrong),
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    completed_at timestamptz
);
CREATE INDEX sign_ins_key ON sign_ins (email_key, requested_at);
CREATE INDEX sign_ins_requested ON sign_ins (requested_at);
