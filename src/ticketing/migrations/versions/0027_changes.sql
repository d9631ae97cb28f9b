-- Changes of what an approved event promises, until the desk has decided about them. What is aside is what the event was,
-- or, where changes are held back until then, what it is to become; NULL where it is the same.
ALTER TABLE submissions
    ADD COLUMN is_change boolean NOT NULL DEFAULT false,
    ADD COLUMN held_back boolean NOT NULL DEFAULT false,
    ADD COLUMN title text,
    ADD COLUMN title_key text,
    ADD COLUMN description text,
    ADD COLUMN start_text text,
    ADD COLUMN end_text text,
    ADD COLUMN venue_id bigint REFERENCES venues;

-- Nobody else takes a title that an event may come back to, or is to have; no venue goes that one may come back to.
CREATE INDEX submissions_titles ON submissions (title_key) WHERE status = 'Pending' AND title_key IS NOT NULL;
CREATE INDEX submissions_venues ON submissions (venue_id) WHERE status = 'Pending' AND venue_id IS NOT NULL;

-- A picture aside; without content: none was uploaded.
CREATE TABLE submission_images (
    submission_id bigint NOT NULL REFERENCES submissions ON UPDATE CASCADE,
    kind text NOT NULL CHECK (kind IN ('banner', 'thumbnail')),
    content_type text,
    etag text,
    content bytea,
    PRIMARY KEY (submission_id, kind)
);
