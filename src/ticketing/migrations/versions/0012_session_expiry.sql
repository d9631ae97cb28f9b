-- A session ends by itself when it was not used for long (idle_until moves on, coarsely, while it is), or is old.
-- Both are compared by every reader, and neither is indexed: moving the first on touches no index.
ALTER TABLE sessions
    ADD COLUMN idle_until timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN expires_at timestamptz NOT NULL DEFAULT 'infinity';
UPDATE sessions SET idle_until = clock() + interval '30 days', expires_at = clock() + interval '365 days'
 WHERE ended_at IS NULL;
