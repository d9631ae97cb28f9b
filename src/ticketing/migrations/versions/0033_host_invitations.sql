-- What a host lets gates see of its guests beyond their names.
ALTER TABLE hosts ADD COLUMN contacts_at_gates boolean NOT NULL DEFAULT false;

-- Who was asked to run a host and has not said yes: he runs nothing yet, and nothing of his is shown.
CREATE TABLE host_invitations (
    host_id bigint NOT NULL REFERENCES hosts,
    account_id bigint NOT NULL REFERENCES accounts,
    invited_by bigint NOT NULL,
    invited_at timestamptz NOT NULL,
    PRIMARY KEY (host_id, account_id)
);
CREATE INDEX host_invitations_account ON host_invitations (account_id, host_id);
CREATE INDEX host_invitations_inviter ON host_invitations (invited_by, invited_at);
