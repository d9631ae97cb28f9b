-- That an event once was over, whatever its dates are now. Before it was approved or sold anything it was nothing yet.
ALTER TABLE events ADD COLUMN was_over boolean NOT NULL DEFAULT false;

CREATE FUNCTION remember_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.was_over := OLD.approved OR EXISTS (SELECT FROM sections WHERE event_id = OLD.id AND sold > 0);
    RETURN NEW;
END $$;
CREATE TRIGGER remember_over BEFORE UPDATE OF starts_at, ends_at ON events
    FOR EACH ROW WHEN (NOT OLD.was_over AND OLD.over_at <= clock()) EXECUTE FUNCTION remember_over();
