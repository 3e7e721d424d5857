#!lua
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, token hash, public, now, may it be made, queues at most.
-- Answers a refusal, or ''; 'queue_gone' where it is not there and may not be made here.
if redis.call('EXISTS', KEYS[1]) == 0 then
    if ARGV[5] ~= '1' then
        return {'queue_gone'}
    end
    if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[6]) then
        return {'account_full'}
    end
    redis.call('HSET', KEYS[1], 'blobs', 0, 'bytes', 0, 'last', 0)
    redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1])
end
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'public', ARGV[3])
return {''}
