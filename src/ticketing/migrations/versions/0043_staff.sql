-- Whose names nobody may imitate: few, and read at each registration.
CREATE INDEX accounts_staff ON accounts (id) WHERE role IN ('administrator', 'support') AND removed_at IS NULL;
