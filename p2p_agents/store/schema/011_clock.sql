-- How long things have waited, by a clock that only counts time which this node saw pass: a wall clock may jump.

CREATE TABLE clock (                          -- one row, kept every ten minutes
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    lived_ms INTEGER NOT NULL,                -- seen to pass so far
    boot     TEXT NOT NULL,                   -- the start of the machine that boot_ms counts from; empty: unknown
    boot_ms  INTEGER NOT NULL,
    wall_ms  INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 1, '', 0, 0);

ALTER TABLE outbox ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;          -- lived_ms when it began to wait
ALTER TABLE requests ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE introductions ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;
UPDATE doors SET knocked_ms = 0;              -- from here on by lived_ms too
