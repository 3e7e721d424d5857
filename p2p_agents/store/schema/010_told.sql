-- Where a contact says that it is pushes out nothing where it was reached.

ALTER TABLE addresses ADD COLUMN told INTEGER NOT NULL DEFAULT 0;   -- 1: it said so; no link came to life there yet
