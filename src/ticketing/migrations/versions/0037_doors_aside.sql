-- Doors are among the dates that the desk looks at, and come back with the others.
ALTER TABLE submissions ADD COLUMN doors_text text;
