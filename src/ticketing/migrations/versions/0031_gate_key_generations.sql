-- How often the token was given another code and another key; the key is derived from the id and this.
ALTER TABLE tokens ADD COLUMN generation int NOT NULL DEFAULT 0 CHECK (generation >= 0);
