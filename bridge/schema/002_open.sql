-- Accounts without queues were made by every login; now an account is made with its first queue. Those that no token
-- admits are counted by where they come from: origin is the tag of a network, NULL for an account that is not counted.
DELETE FROM accounts WHERE queues = 0 AND token IS NULL;
ALTER TABLE accounts ADD COLUMN origin BLOB;
ALTER TABLE accounts ADD COLUMN made_ms INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET origin = substr(key, 1, 8) WHERE token IS NULL;
