-- Codes asked for where the account has signed in have a count of wrong ones of their own: a stranger's are not theirs.
ALTER TABLE codes ADD COLUMN known boolean NOT NULL DEFAULT false;
ALTER TABLE wrong_codes ADD COLUMN known boolean NOT NULL DEFAULT false;
ALTER TABLE wrong_codes DROP CONSTRAINT wrong_codes_pkey, ADD PRIMARY KEY (account_id, known);
