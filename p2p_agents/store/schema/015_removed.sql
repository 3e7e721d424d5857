-- Agents that were removed from this node. Their rows stay: a number in the log belongs to one agent for ever.

ALTER TABLE agents ADD COLUMN removed_ms INTEGER NOT NULL DEFAULT 0;    -- when; 0: it lives here
ALTER TABLE agents ADD COLUMN emptied INTEGER NOT NULL DEFAULT 0;       -- of a removed one, entries up to it are purged
