CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    token BLOB,                  -- hash of the admission token that let it in
    queues INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    seen_ms INTEGER NOT NULL
);
CREATE INDEX accounts_token ON accounts (token);

CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    account INTEGER NOT NULL,
    token_hash BLOB NOT NULL,
    public INTEGER NOT NULL,
    blobs INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0,  -- the highest cursor given, or lifted to
    read_ms INTEGER NOT NULL          -- when somebody last read it, to the hour
);
CREATE INDEX queues_account ON queues (account);
CREATE INDEX queues_read ON queues (read_ms);

CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE UNIQUE INDEX blobs_place ON blobs (queue, cursor);
CREATE INDEX blobs_time ON blobs (time_ms);

CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    label TEXT NOT NULL,
    accounts INTEGER NOT NULL,
    made_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE allowed (
    account BLOB PRIMARY KEY,
    label TEXT NOT NULL,
    made_ms INTEGER NOT NULL
) WITHOUT ROWID;
