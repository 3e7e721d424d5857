-- Conversations that ended: what was said in one may go, and in no other (PROTOCOL A5).

CREATE TABLE ended (
    conversation BLOB PRIMARY KEY,
    why          TEXT NOT NULL,
    time_ms      INTEGER NOT NULL,
    cleared      INTEGER NOT NULL DEFAULT 0   -- 1: nothing of it is left
) STRICT, WITHOUT ROWID;
CREATE TRIGGER ended_never_direct BEFORE INSERT ON ended
    WHEN (SELECT kind FROM conversations WHERE id = NEW.conversation) = 'direct'
    BEGIN SELECT raise(ABORT, 'a direct conversation never ends'); END;

DROP TRIGGER entries_never_vanish;
CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries
    WHEN OLD.conversation NOT IN (SELECT conversation FROM ended)
    BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
DROP TRIGGER log_never_shrinks;
CREATE TRIGGER log_never_shrinks BEFORE DELETE ON log
    WHEN OLD.conversation NOT IN (SELECT conversation FROM ended)
    BEGIN SELECT raise(ABORT, 'the log is append-only'); END;

CREATE INDEX log_entry ON log (entry);        -- who has it still, asked of each body that goes

CREATE TABLE new_outbox (                     -- frames under way name rows by id, so none is given twice
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
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
INSERT INTO new_outbox SELECT id, agent, conversation, entry, peer, device, state, why, sid, owed, changed_ms, since_ms
    FROM outbox ORDER BY id;
DROP TABLE outbox;
ALTER TABLE new_outbox RENAME TO outbox;
CREATE UNIQUE INDEX outbox_entry ON outbox (entry, peer, device);
CREATE INDEX outbox_owed ON outbox (agent, peer, device, sid, id) WHERE owed = 1;
CREATE INDEX outbox_sealed ON outbox (sid) WHERE sid IS NOT NULL;
CREATE INDEX outbox_unread ON outbox (agent, conversation, peer) WHERE state = 'delivered';
