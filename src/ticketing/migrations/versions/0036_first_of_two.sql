-- The first of two readings of a local time (see 0032), whatever clocks are changed by, in a fraction of the time: lists
-- of events compare with thousands of them.
CREATE FUNCTION first_instant(local timestamp, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE WHEN earlier AT TIME ZONE zone = local THEN least(earlier, later) ELSE later END
          FROM (SELECT local AT TIME ZONE zone AS later) AS read,
               LATERAL (SELECT later - (((later - interval '24 hours') AT TIME ZONE zone)
                                        - (local - interval '24 hours')) AS earlier) AS with_the_offset_of_a_day_before
    $$;

-- Clocks were not changed within the day before, almost always: then there is but one reading, and no second function
-- to call. Hence this one can be made part of the statement that uses it.
CREATE FUNCTION local_instant(local timestamp, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN ((local AT TIME ZONE zone) - interval '24 hours') AT TIME ZONE zone = local - interval '24 hours'
            THEN local AT TIME ZONE zone
            ELSE first_instant(local, zone)
        END
    $$;

CREATE OR REPLACE FUNCTION instant(moment text, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN moment = '' THEN NULL
            WHEN moment ~ '(Z|[+-]\d\d:?\d\d)$' THEN moment::timestamptz
            ELSE local_instant(moment::timestamp, zone)
        END
    $$;
