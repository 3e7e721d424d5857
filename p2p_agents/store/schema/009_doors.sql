-- First contact over bridges: queues that anybody may write to, ours and peers', and who asked by one.

ALTER TABLE own_queues ADD COLUMN public INTEGER NOT NULL DEFAULT 0;   -- 1: for requests; peer is the agent that reads it

CREATE TABLE doors (                          -- where a peer takes requests, as its address told
    agent      INTEGER NOT NULL,              -- ours, that knocks
    peer       BLOB NOT NULL,
    device     BLOB NOT NULL,                 -- the peer's, that reads
    bridge     TEXT NOT NULL,
    queue      BLOB NOT NULL,
    key        BLOB NOT NULL,                 -- of the outer seal
    entry      INTEGER NOT NULL DEFAULT 0,    -- that the last request named
    kept       INTEGER NOT NULL DEFAULT 0,    -- how often the bridge kept one for it
    knocked_ms INTEGER NOT NULL DEFAULT 0,    -- when last
    PRIMARY KEY (agent, peer)
) STRICT, WITHOUT ROWID;

CREATE TABLE askers (                         -- who asked by our public queue, and where it hears the answer
    agent  INTEGER NOT NULL,
    peer   BLOB NOT NULL,
    device BLOB NOT NULL,
    stamp  INTEGER NOT NULL,
    bundle BLOB NOT NULL,                     -- signed
    routes BLOB NOT NULL,
    PRIMARY KEY (agent, peer)
) STRICT, WITHOUT ROWID;
