-- One row per letter, written in the transaction that causes it; the worker sends what waits. No address and no secret
-- stands here in the clear: who gets it and what it says is read when it is sent, `sealed` is encrypted and is gone
-- once the letter is.
-- account_id: who gets it; NULL: everybody it concerns (their letters are written by the worker, up to `reached`).
-- message_id: the stable part of the Message-ID, so that a copy sent twice is known for one.
CREATE TABLE mails (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL DEFAULT gen_random_uuid(),
    letter text NOT NULL,
    account_id bigint,
    about jsonb NOT NULL,
    sealed bytea,
    bulk boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'Waiting' CHECK (status IN ('Waiting', 'Sent', 'Distributed', 'Dropped', 'Refused')),
    posted_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    reached bigint NOT NULL DEFAULT 0,
    done_at timestamptz,
    code integer,
    CHECK ((status = 'Waiting') = (done_at IS NULL)),
    CHECK (status = 'Waiting' OR sealed IS NULL)
);
CREATE INDEX mails_due ON mails (bulk, due_at) WHERE status = 'Waiting';
CREATE INDEX mails_waiting ON mails (id) WHERE status = 'Waiting';
CREATE INDEX mails_account ON mails (account_id);
