#!lua
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, token hash, worked, blob, now,
-- and at most: blobs of the queue, bytes of the queue, bytes of the account; channel, this process.
-- Answers a refusal, or '', the cursor and the one before.
local token, public, blobs, bytes, last =
    unpack(redis.call('HMGET', KEYS[1], 'token', 'public', 'blobs', 'bytes', 'last'))
if not token then
    return {'queue_gone'}
elseif public == '1' then
    if ARGV[3] ~= '1' then
        return {'more_work'}
    end
elseif token ~= ARGV[2] then
    return {'bad_token'}
end
local size, now = #ARGV[4], tonumber(ARGV[5])
if tonumber(blobs) >= tonumber(ARGV[6]) or tonumber(bytes) + size > tonumber(ARGV[7]) then
    return {'queue_full'}
end
if tonumber(redis.call('HGET', KEYS[4], 'bytes') or 0) + size > tonumber(ARGV[8]) then
    return {'account_full'}
end
-- %.0f: a cursor has 16 digits, of which Lua by itself writes 14
local cursor = string.format('%.0f', math.max(tonumber(last) + 1, now * 1000))
redis.call('XADD', KEYS[2], cursor .. '-0', 'b', ARGV[4])
redis.call('RPUSH', KEYS[3], size .. ':' .. ARGV[5])
redis.call('HSET', KEYS[1], 'blobs', blobs + 1, 'bytes', bytes + size, 'last', cursor)
redis.call('HINCRBY', KEYS[4], 'bytes', size)
redis.call('HINCRBY', KEYS[4], 'blobs', 1)
if blobs == '0' then
    redis.call('ZADD', KEYS[5], now, ARGV[1])
end
redis.call('PUBLISH', ARGV[9], ARGV[10])
return {'', cursor, last}
