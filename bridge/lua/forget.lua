#!lua flags=allow-oom
-- An account without queues that was not seen for long.
-- KEYS account, queues; ARGV the time since when it was not seen. Answers 1 where it is forgotten.
local seen = tonumber(redis.call('HGET', KEYS[1], 'seen') or 0)
if redis.call('ZCARD', KEYS[2]) > 0 or seen >= tonumber(ARGV[1]) then
    return 0
end
redis.call('UNLINK', KEYS[1])
return 1
