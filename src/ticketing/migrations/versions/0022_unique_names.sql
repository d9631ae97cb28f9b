-- Unique by key. Titles are not: one is free again when its event is over, which no index can know; `events/actions`
-- decides under a lock.
ALTER TABLE accounts ALTER username_key SET NOT NULL, ALTER email_key SET NOT NULL;
ALTER TABLE hosts ALTER name_key SET NOT NULL, ALTER name_sort SET NOT NULL;
ALTER TABLE venues ALTER name_key SET NOT NULL;
ALTER TABLE regions ALTER name_key SET NOT NULL;
ALTER TABLE categories ALTER name_key SET NOT NULL;
ALTER TABLE integrations ALTER name_key SET NOT NULL;
ALTER TABLE sections ALTER name_key SET NOT NULL;
ALTER TABLE events ALTER title_key SET NOT NULL, ALTER title_sort SET NOT NULL;
-- People are identified by either, so a name that looks like an address is one's own.
ALTER TABLE accounts ADD CONSTRAINT nobody_elses_address
    CHECK (integration OR removed_at IS NOT NULL OR username_key NOT LIKE '%@%' OR username_key = email_key);
DROP INDEX accounts_username, accounts_email, hosts_name, venues_name, regions_name, categories_name, integrations_name,
           sections_name, events_title;
CREATE UNIQUE INDEX accounts_username ON accounts (username_key) WHERE removed_at IS NULL AND NOT integration;
CREATE UNIQUE INDEX accounts_email ON accounts (email_key) WHERE removed_at IS NULL AND NOT integration;
CREATE UNIQUE INDEX hosts_name ON hosts (name_key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX venues_name ON venues (name_key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX regions_name ON regions (name_key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX categories_name ON categories (name_key) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX integrations_name ON integrations (name_key) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX sections_name ON sections (event_id, name_key) WHERE removed_at IS NULL;
CREATE INDEX events_title ON events (title_key) WHERE removed_at IS NULL;
CREATE INDEX events_sorted ON events (title_sort, id);
CREATE INDEX hosts_sorted ON hosts (name_sort, id);
