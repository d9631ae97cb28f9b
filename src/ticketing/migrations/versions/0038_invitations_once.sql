-- An invitation stays for a while after it was accepted, refused or taken back, so that nobody is written to again and
-- again. ended_at: NULL while it may be accepted. told_at: when a letter last told of it, if one did.
ALTER TABLE host_invitations ADD COLUMN ended_at timestamptz, ADD COLUMN told_at timestamptz;
UPDATE host_invitations SET told_at = invited_at;
CREATE INDEX host_invitations_invited ON host_invitations (invited_at);
