-- A code is of use for half an hour, and must not wait behind the tickets of an on-sale.
DROP INDEX mails_due;
CREATE INDEX mails_due ON mails ((sealed IS NULL), bulk, due_at) WHERE status = 'Waiting' AND account_id IS NOT NULL;
CREATE INDEX mails_to_all ON mails (id) WHERE status = 'Waiting' AND account_id IS NULL;
