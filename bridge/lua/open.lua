#!lua
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, after, now, cursors at most, how stale the time of
-- reading may be. Answers a refusal, or '' and the last cursor, lifted to `after`.
local last = redis.call('HGET', KEYS[1], 'last')
if not last then
    return {'queue_gone'}
end
local after = tonumber(ARGV[2])
if after > math.max(tonumber(last), tonumber(ARGV[4])) then
    return {'bad_request'}
end
if after > tonumber(last) then
    last = ARGV[2]
    redis.call('HSET', KEYS[1], 'last', last)
end
if tonumber(ARGV[3]) - tonumber(redis.call('ZSCORE', KEYS[6], ARGV[1]) or 0) > tonumber(ARGV[5]) then
    redis.call('ZADD', KEYS[6], ARGV[3], ARGV[1])
end
return {'', last}
