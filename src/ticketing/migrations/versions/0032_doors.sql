-- Before its doors open, an event's gates admit nobody; the text is kept as sent, like those of `start` and `end`.
ALTER TABLE events ADD COLUMN doors_text text NOT NULL DEFAULT '', ADD COLUMN doors_at timestamptz;

-- A local time that a change of clocks makes happen twice means the first (RFC 5545); PostgreSQL takes the second. One
-- that it leaves out is read with the offset before the change, by both.
CREATE OR REPLACE FUNCTION instant(moment text, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN moment = '' THEN NULL
            WHEN moment ~ '(Z|[+-]\d\d:?\d\d)$' THEN moment::timestamptz
            ELSE (SELECT min(candidate)
                    FROM (SELECT moment::timestamp AT TIME ZONE zone AS second) AS read,
                         LATERAL (VALUES (second), (second - interval '30 minutes'), (second - interval '1 hour'),
                                         (second - interval '2 hours'), (second - interval '3 hours'))
                              AS either (candidate)
                   WHERE candidate = second OR candidate AT TIME ZONE zone = moment::timestamp)
        END
    $$;

UPDATE events SET starts_at = instant(start_text, timezone), ends_at = instant(end_text, timezone)
 WHERE (starts_at, ends_at) IS DISTINCT FROM (instant(start_text, timezone), instant(end_text, timezone));

UPDATE sections SET sales_start = instant(sales_start_text, event.timezone),
                    sales_end = instant(sales_end_text, event.timezone)
  FROM events event
 WHERE event.id = sections.event_id
   AND (sales_start, sales_end)
       IS DISTINCT FROM (instant(sales_start_text, event.timezone), instant(sales_end_text, event.timezone));

UPDATE prices SET opens_at = instant(from_text, event.timezone), closes_at = instant(to_text, event.timezone)
  FROM sections section JOIN events event ON event.id = section.event_id
 WHERE section.id = prices.section_id
   AND (opens_at, closes_at)
       IS DISTINCT FROM (instant(from_text, event.timezone), instant(to_text, event.timezone));
