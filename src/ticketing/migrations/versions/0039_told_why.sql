-- Why an event was cancelled, kept once and not in each of the letters that say so.
ALTER TABLE events ADD COLUMN cancellation_reason text NOT NULL DEFAULT '';
UPDATE events SET cancellation_reason = told.reason
  FROM (SELECT DISTINCT ON (thing) thing, detail ->> 'reason' AS reason FROM history
         WHERE action = 'event.cancelled' AND detail ? 'reason' ORDER BY thing, id DESC) AS told
 WHERE events.status = 'Cancelled' AND told.thing = '/events/' || events.id;
UPDATE mails SET about = about - 'reason' WHERE letter = 'event_cancelled' AND about ? 'reason';

-- Letters about changes carry all that was so before; those that wait were posted with less.
UPDATE mails SET about = jsonb_build_object('doors', '', 'zone', venue.timezone, 'name', venue.name, 'address',
                                            venue.address, 'city', region.city, 'longitude', venue.longitude,
                                            'latitude', venue.latitude) || about
  FROM venues venue JOIN regions region ON region.id = venue.region_id
 WHERE letter = 'event_changed' AND mails.status = 'Waiting' AND venue.id = (about ->> 'venue')::bigint
   AND NOT about ? 'longitude';
