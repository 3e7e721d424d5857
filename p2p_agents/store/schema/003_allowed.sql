-- The allowlist: who needs no request, once it proved who it is.

CREATE TABLE allowed (
    agent    INTEGER NOT NULL,
    peer     BLOB NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, peer)
) STRICT, WITHOUT ROWID;
