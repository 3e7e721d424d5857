-- Conversations with members: the log, what is owed and what was left out say in which one, not with whom.

CREATE TABLE members (
    conversation BLOB NOT NULL,
    agent        BLOB NOT NULL,
    PRIMARY KEY (conversation, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_agent ON members (agent, conversation);

INSERT OR IGNORE INTO conversations SELECT conversation, 'direct', 0 FROM floors;
INSERT OR IGNORE INTO members SELECT e.conversation, l.peer FROM log l JOIN entries e ON e.id = l.entry;
INSERT OR IGNORE INTO members SELECT e.conversation, a.agent
    FROM log l JOIN entries e ON e.id = l.entry JOIN agents a ON a.id = l.agent;
INSERT OR IGNORE INTO members SELECT conversation, peer FROM floors;
INSERT OR IGNORE INTO members SELECT f.conversation, a.agent FROM floors f JOIN agents a ON a.id = f.agent;

ALTER TABLE floors DROP COLUMN peer;

CREATE TABLE new_log (                        -- what each hosted agent may read, in the order it came
    cursor       INTEGER PRIMARY KEY AUTOINCREMENT,
    agent        INTEGER NOT NULL,
    entry        INTEGER NOT NULL REFERENCES entries (id),
    conversation BLOB NOT NULL,               -- the entry's
    incoming     INTEGER NOT NULL,            -- shown to readers: a message of somebody else
    trust        INTEGER NOT NULL,            -- of its author when it came
    UNIQUE (agent, entry)
) STRICT;
INSERT INTO new_log SELECT l.cursor, l.agent, l.entry, e.conversation, l.incoming, l.trust
    FROM log l JOIN entries e ON e.id = l.entry ORDER BY l.cursor;
INSERT INTO sqlite_sequence SELECT 'new_log', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'new_log');
UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence WHERE name IN ('log', 'new_log'))
    WHERE name = 'new_log';                   -- no cursor is given twice
DROP TABLE log;
ALTER TABLE new_log RENAME TO log;
CREATE INDEX log_incoming ON log (agent, cursor) WHERE incoming = 1;
CREATE INDEX log_conversation ON log (agent, conversation, cursor);
CREATE TRIGGER log_never_changes BEFORE UPDATE ON log BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_never_shrinks BEFORE DELETE ON log BEGIN SELECT raise(ABORT, 'the log is append-only'); END;

CREATE TABLE new_outbox (                     -- a cache of: my log minus what each recipient's device holds
    id           INTEGER PRIMARY KEY,
    agent        INTEGER NOT NULL,
    conversation BLOB NOT NULL,               -- the entry's
    entry        INTEGER NOT NULL REFERENCES entries (id),
    peer         BLOB NOT NULL,               -- the recipient
    device       BLOB NOT NULL,               -- of the recipient; empty until one is known
    state        TEXT NOT NULL,               -- queued, relayed, delivered, read, failed
    why          TEXT NOT NULL DEFAULT '',
    sid          BLOB,                        -- the session it is sealed in
    owed         INTEGER NOT NULL,            -- 1 until the recipient's device settled it
    changed_ms   INTEGER NOT NULL,
    since_ms     INTEGER NOT NULL DEFAULT 0   -- lived_ms when it began to wait
) STRICT;
INSERT INTO new_outbox SELECT o.id, o.agent, e.conversation, o.entry, o.peer, o.device, o.state, o.why, o.sid, o.owed,
    o.changed_ms, o.since_ms FROM outbox o JOIN entries e ON e.id = o.entry ORDER BY o.id;
DROP TABLE outbox;
ALTER TABLE new_outbox RENAME TO outbox;
CREATE UNIQUE INDEX outbox_entry ON outbox (entry, peer, device);
CREATE INDEX outbox_owed ON outbox (agent, peer, device, sid, id) WHERE owed = 1;
CREATE INDEX outbox_sealed ON outbox (sid) WHERE sid IS NOT NULL;
CREATE INDEX outbox_unread ON outbox (agent, conversation, peer) WHERE state = 'delivered';
