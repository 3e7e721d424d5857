-- The bridges this node was told to use, in order.

CREATE TABLE bridges (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    address  TEXT NOT NULL UNIQUE,
    token    TEXT NOT NULL,                   -- of admission; empty where none was given
    added_ms INTEGER NOT NULL
) STRICT;
