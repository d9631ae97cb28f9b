-- Texts as they are searched (kit/searching). The names of hosts, venues and categories are few; titles have an index.
ALTER TABLE hosts ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE venues ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE categories ADD COLUMN search_text text NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN search_text text NOT NULL DEFAULT '', ADD COLUMN search_pieces text[] NOT NULL DEFAULT '{}';
