-- outside a transaction
-- What is forgotten after a while is found by its age.
DROP INDEX CONCURRENTLY IF EXISTS sessions_started;
CREATE INDEX CONCURRENTLY sessions_started ON sessions (started_at);
DROP INDEX CONCURRENTLY IF EXISTS history_at;
CREATE INDEX CONCURRENTLY history_at ON history (at);
DROP INDEX CONCURRENTLY IF EXISTS refused_scans_scanned;
CREATE INDEX CONCURRENTLY refused_scans_scanned ON refused_scans (scanned_at);
DROP INDEX CONCURRENTLY IF EXISTS mails_done;
CREATE INDEX CONCURRENTLY mails_done ON mails (done_at) WHERE done_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS failures_until;
CREATE INDEX CONCURRENTLY failures_until ON failures (until);
DROP INDEX CONCURRENTLY IF EXISTS wrong_codes_day;
CREATE INDEX CONCURRENTLY wrong_codes_day ON wrong_codes (day);

-- Everything the search for due orders needs, so that it is chosen whatever the statistics say.
DROP INDEX CONCURRENTLY IF EXISTS orders_held;
CREATE INDEX CONCURRENTLY orders_held ON orders (held_until) INCLUDE (id) WHERE status = 'Placed';
