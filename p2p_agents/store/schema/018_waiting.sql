-- What waits is looked through every minute for what waits too long: only that, however much was delivered before.

CREATE INDEX outbox_waiting ON outbox (agent, since_ms) WHERE state IN ('queued', 'relayed');
