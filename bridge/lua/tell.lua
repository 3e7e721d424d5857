#!lua
-- KEYS place, what waits for side 0, for side 1; ARGV name, side, sitter, now, message, and at most: messages that wait,
-- their bytes. Answers a refusal, or ''.
local ends, sitter = unpack(redis.call('HMGET', KEYS[1], 'ends', 'sitter' .. ARGV[2]))
if not ends or tonumber(ends) <= tonumber(ARGV[4]) or sitter ~= ARGV[3] then
    return {'place_gone'}
end
local other = 1 - ARGV[2]
local waiting = KEYS[2 + other]
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes' .. other) or 0) + #ARGV[5]
if redis.call('LLEN', waiting) >= tonumber(ARGV[6]) or bytes > tonumber(ARGV[7]) then
    return {'queue_full'}
end
redis.call('RPUSH', waiting, ARGV[5])
redis.call('PEXPIRE', waiting, ends - ARGV[4])
redis.call('HSET', KEYS[1], 'bytes' .. other, bytes)
local there = redis.call('HGET', KEYS[1], 'sitter' .. other)
if there then
    redis.call('PUBLISH', 'p2pb:told:' .. string.match(there, '^%S+'), ARGV[1])
end
return {''}
