#!lua
-- KEYS place, what waits for side 0, for side 1; ARGV name, side, token hash, sitter, now, may it be made,
-- how long a place lives, how long without a displayer. A sitter is 'process visitor'.
-- Answers a refusal, or '', when it ends, whether the other side is there, and what waited, in turn.
local name, side, sitter, now = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
local ends = tonumber(redis.call('HGET', KEYS[1], 'ends') or 0)
if ends <= now then
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
    if ARGV[6] ~= '1' then
        return {'bridge_full'}
    end
    ends = now + ARGV[side == '0' and 7 or 8]
end
local token = redis.call('HGET', KEYS[1], 'token' .. side)
if token and token ~= ARGV[3] then
    return {'place_taken'}
elseif not token and side == '0' then
    ends = now + ARGV[7]
end
redis.call('HSET', KEYS[1], 'token' .. side, ARGV[3], 'sitter' .. side, sitter, 'bytes' .. side, 0, 'ends', ends)
local other = redis.call('HGET', KEYS[1], 'sitter' .. (1 - side))
local found = {'', ends, other and 1 or 0}
for _, message in ipairs(redis.call('LRANGE', KEYS[2 + side], 0, -1)) do
    found[#found + 1] = message
end
redis.call('DEL', KEYS[2 + side])
if other then  -- an empty message: somebody is there
    redis.call('RPUSH', KEYS[3 - side], '')
    redis.call('PUBLISH', 'p2pb:told:' .. string.match(other, '^%S+'), name)
end
for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, math.max(1, ends - now))
end
return found
