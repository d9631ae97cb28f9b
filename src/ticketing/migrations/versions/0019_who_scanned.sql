-- A scan by somebody who is signed in is his own; one with a gate's key is nobody's, whatever name was typed.
ALTER TABLE admissions ADD COLUMN account_id bigint;
ALTER TABLE refused_scans ADD COLUMN account_id bigint;
DROP INDEX admissions_redeemer, refused_scans_redeemer;
CREATE INDEX admissions_account ON admissions (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX refused_scans_account ON refused_scans (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX admissions_redeemer ON admissions (event_id, redeemer);
