#!lua flags=allow-oom
-- An account logged in. KEYS account; ARGV now, 1 where it is not counted among the open ones any more.
-- Answers 1 where something of it is kept here.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return 0
end
redis.call('HSET', KEYS[1], 'seen', ARGV[1])
if ARGV[2] == '1' then
    redis.call('HDEL', KEYS[1], 'origin')
end
return 1
