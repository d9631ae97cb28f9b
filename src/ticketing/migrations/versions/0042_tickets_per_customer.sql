-- How many tickets of an event one customer may have, where its host says so; NULL: what the platform's setting says.
ALTER TABLE events ADD COLUMN tickets_per_customer integer CHECK (tickets_per_customer > 0);
