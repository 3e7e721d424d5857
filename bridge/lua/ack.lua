#!lua flags=allow-oom
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, the first cursor kept, now, how stale the time of
-- reading may be. Answers a refusal, or '', how many blobs were forgotten, and their bytes.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {'queue_gone'}
end
local count = redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[2] .. '-0')
local size = 0
if count > 0 then
    for _, one in ipairs(redis.call('LRANGE', KEYS[3], 0, count - 1)) do
        size = size + tonumber(string.match(one, '^%d+'))
    end
    redis.call('LTRIM', KEYS[3], count, -1)
    redis.call('HINCRBY', KEYS[1], 'blobs', 0 - count)
    redis.call('HINCRBY', KEYS[1], 'bytes', 0 - size)
    redis.call('HINCRBY', KEYS[4], 'blobs', 0 - count)
    redis.call('HINCRBY', KEYS[4], 'bytes', 0 - size)
    local head = redis.call('LINDEX', KEYS[3], 0)
    if head then
        redis.call('ZADD', KEYS[5], string.match(head, '%d+$'), ARGV[1])
    else
        redis.call('ZREM', KEYS[5], ARGV[1])
    end
end
if tonumber(ARGV[3]) - tonumber(redis.call('ZSCORE', KEYS[6], ARGV[1]) or 0) > tonumber(ARGV[4]) then
    redis.call('ZADD', KEYS[6], ARGV[3], ARGV[1])
end
return {'', count, size}
