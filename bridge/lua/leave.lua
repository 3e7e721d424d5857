#!lua flags=allow-oom
-- KEYS place, what waits for side 0, for side 1; ARGV name, side, sitter, now. Answers a refusal, or '' and
-- the network of its displayer or ''.
local ends, sitter = unpack(redis.call('HMGET', KEYS[1], 'ends', 'sitter' .. ARGV[2]))
if not ends or tonumber(ends) <= tonumber(ARGV[4]) or sitter ~= ARGV[3] then
    return {'place_gone'}
end
local network = redis.call('HGET', KEYS[1], 'network') or ''
local other = redis.call('HGET', KEYS[1], 'sitter' .. (1 - ARGV[2]))
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if other then
    redis.call('PUBLISH', 'p2pb:told:' .. string.match(other, '^%S+'), ARGV[1])
end
return {'', network}
