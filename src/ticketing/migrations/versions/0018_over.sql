-- When an event is over: at its end; without one, a day after its start; without dates never. The one place that says
-- so. Declared IMMUTABLE, as a stored column needs it: 24 hours are the same in every time zone.
CREATE FUNCTION over_at(starts_at timestamptz, ends_at timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(ends_at, starts_at + interval '24 hours', 'infinity') $$;
ALTER TABLE events
    ADD COLUMN over_at timestamptz NOT NULL GENERATED ALWAYS AS (over_at(starts_at, ends_at)) STORED;
