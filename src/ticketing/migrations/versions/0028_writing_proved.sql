-- What the server changes to know whether it can write. The row fills most of a page, so that a change needs another
-- page: small ones still find room on a disk that is full.
CREATE TABLE write_probe (
    turn boolean NOT NULL DEFAULT false,
    filler text NOT NULL DEFAULT repeat('.', 6000)
);
ALTER TABLE write_probe ALTER COLUMN filler SET STORAGE PLAIN;
INSERT INTO write_probe DEFAULT VALUES;
