-- An account's open sessions are counted when it starts another.
CREATE INDEX sessions_open ON sessions (account_id) WHERE ended_at IS NULL;
