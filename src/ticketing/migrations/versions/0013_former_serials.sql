-- The serials that a ticket had, found by the ticket: whether it is older than its last issue.
CREATE INDEX retired_serials_ticket ON retired_serials (ticket_id);
