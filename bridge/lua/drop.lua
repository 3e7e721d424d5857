#!lua flags=allow-oom
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, and '' or the time since when nobody read it.
-- Answers a refusal, or '', how many blobs it held, their bytes, and whether an open account went with its last queue.
-- (0 - n, because -0 is written "-0", which Redis takes for no number)
local blobs, bytes = unpack(redis.call('HMGET', KEYS[1], 'blobs', 'bytes'))
if not blobs then
    return {'queue_gone'}
end
if ARGV[2] ~= '' and tonumber(redis.call('ZSCORE', KEYS[6], ARGV[1])) >= tonumber(ARGV[2]) then
    return {'', 0, 0, 0}
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('HINCRBY', KEYS[4], 'blobs', 0 - blobs)
redis.call('HINCRBY', KEYS[4], 'bytes', 0 - bytes)
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
local gone = 0
if redis.call('ZCARD', KEYS[6]) == 0 and redis.call('HEXISTS', KEYS[4], 'origin') == 1 then
    redis.call('UNLINK', KEYS[4])
    gone = 1
end
return {'', tonumber(blobs), tonumber(bytes), gone}
