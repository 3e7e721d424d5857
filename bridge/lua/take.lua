#!lua flags=allow-oom
-- KEYS place, what waits for side 0, for side 1; ARGV side, sitter, now.
-- Answers 'place_gone', 'place_taken' where another sits there, or '', when the place ends, and what waited, in turn.
local ends, sitter = unpack(redis.call('HMGET', KEYS[1], 'ends', 'sitter' .. ARGV[1]))
if not ends or tonumber(ends) <= tonumber(ARGV[3]) then
    return {'place_gone'}
elseif sitter ~= ARGV[2] then
    return {'place_taken'}
end
local waiting = KEYS[2 + ARGV[1]]
local found = {'', tonumber(ends)}
for _, message in ipairs(redis.call('LRANGE', waiting, 0, -1)) do
    found[#found + 1] = message
end
redis.call('DEL', waiting)
redis.call('HSET', KEYS[1], 'bytes' .. ARGV[1], 0)
return found
