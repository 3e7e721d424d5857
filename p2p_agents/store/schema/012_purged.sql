-- What agents deleted: a body goes once no other agent of the node still has it, and never comes back.

CREATE TABLE purged (
    agent INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (agent, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX purged_entry ON purged (entry);
