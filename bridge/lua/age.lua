#!lua flags=allow-oom
-- Forget what a queue kept too long.
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, the time up to which blobs are too old, how many at
-- most. Answers '' and how many were forgotten.
local count, size = 0, 0
for _, one in ipairs(redis.call('LRANGE', KEYS[3], 0, ARGV[3] - 1)) do
    local bytes, time = string.match(one, '^(%d+):(%d+)$')
    if tonumber(time) > tonumber(ARGV[2]) then
        break
    end
    count, size = count + 1, size + tonumber(bytes)
end
if count == 0 then
    return {'', 0}
end
redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', redis.call('XLEN', KEYS[2]) - count)
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
return {'', count}
