-- lane: what a letter waits behind, as in letters/posting. What waits from before keeps its order.
ALTER TABLE mails ADD COLUMN lane text NOT NULL DEFAULT 'plain'
    CHECK (lane IN ('security', 'plain', 'tickets', 'crowd', 'crowd_tickets'));
UPDATE mails SET lane = CASE WHEN sealed IS NOT NULL THEN 'security' WHEN bulk THEN 'crowd' ELSE 'tickets' END
 WHERE status = 'Waiting' AND (sealed IS NOT NULL OR bulk OR letter = 'order_fulfilled');
ALTER TABLE mails DROP COLUMN bulk;
CREATE INDEX mails_security ON mails (due_at)
 WHERE status = 'Waiting' AND account_id IS NOT NULL AND lane = 'security';
CREATE INDEX mails_due ON mails (lane, due_at) WHERE status = 'Waiting' AND account_id IS NOT NULL;
