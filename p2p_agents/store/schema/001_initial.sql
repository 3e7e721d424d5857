-- The first schema. Times are wall-clock milliseconds; ids, keys and hashes are raw bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- agents, identities, devices

CREATE TABLE agents (                         -- the agents this node hosts
    id         INTEGER PRIMARY KEY,
    agent      BLOB NOT NULL UNIQUE,          -- agent id, 32 bytes
    device     BLOB NOT NULL,                 -- this installation's device key
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'online',
    policy     TEXT NOT NULL DEFAULT 'ask',
    hidden     INTEGER NOT NULL DEFAULT 0,
    chosen     INTEGER NOT NULL DEFAULT 0,    -- the default agent
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (                     -- identity logs, ours and others'
    agent BLOB NOT NULL,
    n     INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (agent, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (                        -- a device key belongs to one agent for ever
    device BLOB PRIMARY KEY,
    agent  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pairs (                          -- what is known of a peer's device, per device of ours
    device      BLOB NOT NULL,                -- ours
    peer_device BLOB NOT NULL,
    peer        BLOB NOT NULL,                -- agent id of the peer
    gen_sent    INTEGER NOT NULL DEFAULT 0,   -- of inits
    gen_seen    INTEGER NOT NULL DEFAULT 0,
    stamp_sent  INTEGER NOT NULL DEFAULT 0,   -- of syncs
    stamp_seen  INTEGER NOT NULL DEFAULT 0,
    heard_ms    INTEGER NOT NULL DEFAULT 0,   -- last time a link to it was alive
    PRIMARY KEY (device, peer_device)
) STRICT, WITHOUT ROWID;
CREATE INDEX pairs_peer ON pairs (device, peer);

CREATE TABLE prekeys (                        -- private parts, destroyed when they have served
    device     BLOB NOT NULL,
    seed       BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;

-- ---------------------------------------------------------------- contacts, names, addresses, requests

CREATE TABLE contacts (
    agent    INTEGER NOT NULL REFERENCES agents (id),
    peer     BLOB NOT NULL,
    petname  TEXT COLLATE NOCASE,
    name     TEXT NOT NULL,                   -- as it announced itself
    kind     TEXT NOT NULL,
    trust    INTEGER NOT NULL,
    frozen   TEXT,                            -- why nothing is exchanged until a human decides
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, peer)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX contacts_petname ON contacts (agent, petname) WHERE petname IS NOT NULL;

CREATE TABLE pins (                           -- an announced name belongs to the first id that used it
    agent INTEGER NOT NULL,
    name  TEXT NOT NULL COLLATE NOCASE,
    peer  BLOB NOT NULL,
    PRIMARY KEY (agent, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE addresses (                      -- where a contact was last reached
    peer    BLOB NOT NULL,
    address TEXT NOT NULL,
    node    BLOB NOT NULL,                    -- TLS key of the node it was reached at; empty when only claimed
    seen_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE places (                         -- addresses a human or agent gave
    address  TEXT PRIMARY KEY,
    added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (                       -- first contact, inwards
    agent   INTEGER NOT NULL,
    peer    BLOB NOT NULL,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    entry   BLOB NOT NULL,                    -- hash of the entry it previews
    text    TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    state   TEXT NOT NULL,                    -- pending, accepted, rejected, blocked
    PRIMARY KEY (agent, peer)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- entries and the log

CREATE TABLE conversations (
    id      BLOB PRIMARY KEY,
    kind    TEXT NOT NULL,
    lamport INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (                        -- once per node
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         BLOB NOT NULL UNIQUE,        -- of the signed bytes; of the voided entry for a void
    kind         TEXT NOT NULL,
    conversation BLOB NOT NULL,
    author       BLOB NOT NULL,
    device       BLOB NOT NULL,
    epoch        BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    prev         BLOB NOT NULL,
    lamport      INTEGER NOT NULL,
    time_ms      INTEGER NOT NULL,
    type         TEXT NOT NULL,
    reply_to     BLOB,
    signed       BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_chain ON entries (conversation, device, epoch, seq);

CREATE TABLE bodies (                         -- apart from entries, so that a body can go and its entry stay
    entry INTEGER PRIMARY KEY REFERENCES entries (id),
    body  BLOB NOT NULL
) STRICT;

CREATE TABLE voids (                          -- signed in place of our entries that expired unsealed (PROTOCOL B6)
    entry  INTEGER PRIMARY KEY REFERENCES entries (id),
    signed BLOB NOT NULL
) STRICT;

CREATE TABLE chains (                         -- one row per epoch of a device's chain: its run of entries
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    epoch        BLOB NOT NULL,
    parent       BLOB NOT NULL,               -- epoch of the entry before the first; empty at the start
    first        INTEGER NOT NULL,
    last         INTEGER NOT NULL,
    hash         BLOB NOT NULL,               -- of the last entry
    lamport      INTEGER NOT NULL,
    PRIMARY KEY (conversation, device, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (                            -- what each hosted agent may read, in the order it came
    cursor   INTEGER PRIMARY KEY AUTOINCREMENT,
    agent    INTEGER NOT NULL,
    entry    INTEGER NOT NULL REFERENCES entries (id),
    peer     BLOB NOT NULL,                   -- the other side of the conversation
    incoming INTEGER NOT NULL,                -- shown to readers: a message of somebody else
    trust    INTEGER NOT NULL,                -- of its author when it came
    UNIQUE (agent, entry)
) STRICT;
CREATE INDEX log_incoming ON log (agent, cursor) WHERE incoming = 1;
CREATE INDEX log_peer ON log (agent, peer, cursor);

CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_never_vanish BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
CREATE TRIGGER log_never_changes BEFORE UPDATE ON log BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_never_shrinks BEFORE DELETE ON log BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TRIGGER bodies_never_change BEFORE UPDATE ON bodies BEGIN SELECT raise(ABORT, 'bodies are append-only'); END;

CREATE VIRTUAL TABLE words USING fts5 (body, content='', tokenize='unicode61');   -- rowid = entry id; filled lazily

-- ---------------------------------------------------------------- readers

CREATE TABLE readers (                        -- everything up to the watermark is acknowledged
    agent     INTEGER NOT NULL,
    reader    TEXT NOT NULL,
    watermark INTEGER NOT NULL,
    PRIMARY KEY (agent, reader)
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (                          -- entries above a reader's watermark that it was shown, or acknowledged
    agent  INTEGER NOT NULL,
    reader TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    acked  INTEGER NOT NULL,
    PRIMARY KEY (agent, reader, cursor)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- outbox, sessions, frames

CREATE TABLE outbox (                         -- a cache of: my log minus what the peer's device holds
    id         INTEGER PRIMARY KEY,
    agent      INTEGER NOT NULL,
    entry      INTEGER NOT NULL REFERENCES entries (id),
    peer       BLOB NOT NULL,
    device     BLOB NOT NULL,                 -- of the peer; empty until one is known
    state      TEXT NOT NULL,                 -- queued, relayed, delivered, read, failed
    why        TEXT NOT NULL DEFAULT '',
    sid        BLOB,                          -- the session it is sealed in
    owed       INTEGER NOT NULL,              -- 1 until the peer settled it
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX outbox_entry ON outbox (entry, peer, device);
CREATE INDEX outbox_owed ON outbox (agent, peer, device, id) WHERE owed = 1 AND sid IS NULL;
CREATE INDEX outbox_sealed ON outbox (sid) WHERE sid IS NOT NULL;
CREATE INDEX outbox_unread ON outbox (agent, peer, id) WHERE state = 'delivered';

CREATE TABLE keys (                           -- idempotency keys outlive purges
    agent  INTEGER NOT NULL,
    key    TEXT NOT NULL,
    digest BLOB NOT NULL,                     -- of recipient and content
    entry  INTEGER NOT NULL,
    PRIMARY KEY (agent, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    sid         BLOB PRIMARY KEY,
    device      BLOB NOT NULL,
    peer_device BLOB NOT NULL,
    gen         INTEGER NOT NULL,
    state       BLOB NOT NULL,
    verdicts    BLOB NOT NULL,                -- of received items not acknowledged yet
    acked       INTEGER NOT NULL DEFAULT 0,   -- frames of ours the peer acknowledged
    acked_hash  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_pair ON sessions (device, peer_device);

CREATE TABLE frames (                         -- sealed and not acknowledged: the exact bytes
    sid   BLOB NOT NULL,
    pos   INTEGER NOT NULL,
    turn  INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    hash  BLOB NOT NULL,                      -- running hash through this frame
    items BLOB NOT NULL,                      -- outbox ids, in order
    frame BLOB NOT NULL,
    PRIMARY KEY (sid, pos)
) STRICT;

CREATE TABLE received (                       -- digests of the last frames opened: a replay is not a rollback
    sid    BLOB NOT NULL,
    pos    INTEGER NOT NULL,
    turn   INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (sid, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (                         -- what a human should know: rollbacks, forks, equivocations
    id      INTEGER PRIMARY KEY,
    agent   INTEGER NOT NULL,
    peer    BLOB NOT NULL,
    kind    TEXT NOT NULL,
    detail  TEXT NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
