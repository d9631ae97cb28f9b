-- What tickets are signed with. One key signs; the retired ones still verify, unless they are distrusted.
-- The private half is encrypted with the server's secret.
CREATE TABLE ticket_keys (
    id text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    private_key_encrypted bytea NOT NULL,
    made_at timestamptz NOT NULL,
    retired_at timestamptz,
    distrusted_at timestamptz,
    CHECK (distrusted_at IS NULL OR retired_at IS NOT NULL)
);
CREATE UNIQUE INDEX ticket_keys_signing ON ticket_keys ((true)) WHERE retired_at IS NULL;
