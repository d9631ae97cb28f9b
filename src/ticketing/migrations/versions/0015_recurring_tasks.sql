-- What waits is in tables of its subjects (letters, refunds, payments); the general queue was never used.
DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics;
DROP FUNCTION fn_pgqueuer_changed();
DROP TYPE pgqueuer_status;

-- Whichever worker moves started_at runs the task. Only its success says that it is well.
DROP TABLE recurring_tasks;
CREATE TABLE recurring_tasks (
    name text PRIMARY KEY,
    late_after_seconds float8 NOT NULL,
    first_started_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    succeeded_at timestamptz,
    failures int NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT ''
);
