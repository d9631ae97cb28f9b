-- The key of each identifying text (kit/identity), and of each name that is sorted by (kit/collation).
ALTER TABLE accounts ADD COLUMN username_key text, ADD COLUMN email_key text;
ALTER TABLE hosts ADD COLUMN name_key text, ADD COLUMN name_sort bytea;
ALTER TABLE venues ADD COLUMN name_key text;
ALTER TABLE regions ADD COLUMN name_key text;
ALTER TABLE categories ADD COLUMN name_key text;
ALTER TABLE integrations ADD COLUMN name_key text;
ALTER TABLE sections ADD COLUMN name_key text;
ALTER TABLE events ADD COLUMN title_key text, ADD COLUMN title_sort bytea;
ALTER TABLE accounts DROP CONSTRAINT nobody_elses_address;
-- By what the keys of the rows in `sort` columns were made.
CREATE TABLE sort_keys (version int NOT NULL);
