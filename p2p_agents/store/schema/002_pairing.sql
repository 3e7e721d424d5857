-- Pairing: what must outlive the node of codes that were tried or have served.

CREATE TABLE pairing_codes (
    place    BLOB PRIMARY KEY,                -- a hash of the code's meeting place
    tries    INTEGER NOT NULL DEFAULT 0,      -- runs made with it as a joiner, counted before the tag leaves
    used     INTEGER NOT NULL DEFAULT 0,      -- it has served
    heard_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
