-- Queues at bridges: ours, that peers write to, and theirs, that we write to. One per pair of devices and bridge.

CREATE TABLE own_queues (
    queue       BLOB PRIMARY KEY,             -- hash of the read key
    bridge      TEXT NOT NULL,                -- its address
    device      BLOB NOT NULL,                -- ours, that reads it
    peer_device BLOB NOT NULL,                -- that writes to it; empty until a pairing tells
    peer        BLOB NOT NULL,                -- agent id
    seed        BLOB NOT NULL,                -- of the read key
    token       BLOB NOT NULL,
    key         BLOB NOT NULL,                -- of the outer seal
    cursor      INTEGER NOT NULL DEFAULT 0    -- everything up to it is worked off
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX own_queues_pair ON own_queues (device, peer_device, peer, bridge);

CREATE TABLE routes (
    device      BLOB NOT NULL,                -- ours, that writes
    peer_device BLOB NOT NULL,                -- that reads
    bridge      TEXT NOT NULL,
    queue       BLOB NOT NULL,
    token       BLOB NOT NULL,
    key         BLOB NOT NULL,
    sid         BLOB NOT NULL DEFAULT x'',    -- of this session, frames before `position` are stored at the bridge
    position    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, peer_device, bridge)
) STRICT, WITHOUT ROWID;

CREATE TABLE bundles (                        -- the newest key bundle of a contact's device
    device     BLOB PRIMARY KEY,
    prekey     BLOB NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
