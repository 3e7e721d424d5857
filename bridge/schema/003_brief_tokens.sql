-- A token may admit newcomers for a while only: one in a link lives as long as the code beside it. 0: without end.
ALTER TABLE tokens ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 0;
