#!lua flags=allow-oom
-- KEYS the accounts by when to look at them; ARGV when, account. Where it stands there, it is looked at then.
return redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[2])
