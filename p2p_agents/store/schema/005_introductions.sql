-- Introductions: what contacts say of other agents.

ALTER TABLE agents ADD COLUMN introductions TEXT NOT NULL DEFAULT 'ask';    -- what becomes of them: ask, accept, ignore

CREATE TABLE introductions (
    agent      INTEGER NOT NULL,
    peer       BLOB NOT NULL,
    introducer BLOB NOT NULL,
    name       TEXT NOT NULL,                 -- of the peer, as the introducer gives it
    kind       TEXT NOT NULL,
    card       BLOB NOT NULL,
    time_ms    INTEGER NOT NULL,              -- when it came, by our clock
    state      TEXT NOT NULL,                 -- pending, accepted, rejected, blocked
    PRIMARY KEY (agent, peer, introducer)
) STRICT, WITHOUT ROWID;
CREATE INDEX introductions_by ON introductions (agent, introducer, time_ms);

CREATE TABLE leads (                          -- where a contact lives, as an introducer says, until a HELLO proves a place
    peer    BLOB NOT NULL,
    node    BLOB NOT NULL,                    -- the TLS key that must answer there
    address TEXT NOT NULL,
    PRIMARY KEY (peer, node, address)
) STRICT, WITHOUT ROWID;
