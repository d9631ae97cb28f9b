-- Verified addresses that an account has left: for a week each can take it back. A lower id was left earlier.
CREATE TABLE former_addresses (
    id bigint GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES accounts,
    email text NOT NULL,
    email_key text NOT NULL,
    replaced_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, email_key)
);
CREATE INDEX former_addresses_key ON former_addresses (email_key);
CREATE INDEX former_addresses_replaced ON former_addresses (replaced_at);
-- A verified address was replaced by one that is not verified yet.
ALTER TABLE accounts ADD COLUMN must_verify boolean NOT NULL DEFAULT false;
-- The former address to which the code went, and which it takes the account back to; NULL: the account's own.
ALTER TABLE codes ADD COLUMN former_email text, ADD COLUMN former_key text;
