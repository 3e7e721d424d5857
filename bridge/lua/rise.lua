#!lua flags=allow-oom
-- A connection ended: its side is kept for its token, a displayer's for a short time.
-- KEYS place; ARGV name, side, sitter, now, how long a displayer may be away. Whoever sits at the other side looks.
-- Answers '', when the place ends, and the network of its displayer or ''.
local ends, network = unpack(redis.call('HMGET', KEYS[1], 'ends', 'network'))
if redis.call('HGET', KEYS[1], 'sitter' .. ARGV[2]) == ARGV[3] then
    redis.call('HDEL', KEYS[1], 'sitter' .. ARGV[2])
    if ARGV[2] == '0' then
        ends = math.min(tonumber(ends), ARGV[4] + ARGV[5])
        redis.call('HSET', KEYS[1], 'ends', ends)
        local other = redis.call('HGET', KEYS[1], 'sitter1')
        if other then
            redis.call('PUBLISH', 'p2pb:told:' .. string.match(other, '^%S+'), ARGV[1])
        end
    end
end
return {'', tonumber(ends or 0), network or ''}
