-- Several devices of one agent: which live, what a new one was not given, what another one read and changed.

ALTER TABLE devices ADD COLUMN live INTEGER NOT NULL DEFAULT 1;     -- 0: its agent's log names it no more
CREATE INDEX devices_agent ON devices (agent);

CREATE TABLE floors (                         -- chains that begin later here: earlier entries were left out by choice
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    seq          INTEGER NOT NULL,            -- the last one left out
    agent        INTEGER NOT NULL,
    peer         BLOB NOT NULL,               -- the other side of the conversation
    PRIMARY KEY (conversation, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE read_elsewhere (                 -- by the default reader on another device of the agent, through seq
    agent        INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    epoch        BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    PRIMARY KEY (agent, conversation, device, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE unshared (                       -- what other devices of the agent are to be told of a contact
    agent INTEGER NOT NULL,
    peer  BLOB NOT NULL,
    field TEXT NOT NULL,                      -- trust, petname, identity
    PRIMARY KEY (agent, peer, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE shared (                         -- the newest word on a field, whichever device's it was
    agent   INTEGER NOT NULL,
    peer    BLOB NOT NULL,
    field   TEXT NOT NULL,
    lamport INTEGER NOT NULL,
    device  BLOB NOT NULL,
    PRIMARY KEY (agent, peer, field)
) STRICT, WITHOUT ROWID;

-- Not INSERT OR IGNORE: a trigger's conflict clause gives way to that of the statement that fires it.
CREATE TRIGGER contacts_begin AFTER INSERT ON contacts BEGIN
    INSERT INTO unshared SELECT NEW.agent, NEW.peer, 'trust'
        WHERE NOT EXISTS (SELECT 1 FROM unshared WHERE (agent, peer, field) = (NEW.agent, NEW.peer, 'trust'));
END;
CREATE TRIGGER contacts_trust AFTER UPDATE OF trust ON contacts WHEN NEW.trust <> OLD.trust BEGIN
    INSERT INTO unshared SELECT NEW.agent, NEW.peer, 'trust'
        WHERE NOT EXISTS (SELECT 1 FROM unshared WHERE (agent, peer, field) = (NEW.agent, NEW.peer, 'trust'));
END;
CREATE TRIGGER contacts_petname AFTER UPDATE OF petname ON contacts WHEN NEW.petname IS NOT OLD.petname BEGIN
    INSERT INTO unshared SELECT NEW.agent, NEW.peer, 'petname'
        WHERE NOT EXISTS (SELECT 1 FROM unshared WHERE (agent, peer, field) = (NEW.agent, NEW.peer, 'petname'));
END;
CREATE TRIGGER identities_grow AFTER INSERT ON identities BEGIN
    INSERT INTO unshared SELECT c.agent, c.peer, 'identity' FROM contacts c WHERE c.peer = NEW.agent
        AND NOT EXISTS (SELECT 1 FROM unshared u WHERE (u.agent, u.peer, u.field) = (c.agent, c.peer, 'identity'));
END;
