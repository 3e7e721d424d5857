#!lua
-- KEYS place, what waits for side 0, for side 1; ARGV name, side, token hash, sitter, now, the refusal of a place that is
-- to be made, or shown, or '', how long a place lives, how long without a displayer, the network of who asks.
-- A sitter is 'process visitor'. Answers a refusal, or '', when it ends, whether it waits for a displayer, whether the
-- other side is there, and what waited, in turn.
local name, side, sitter, now = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
local ends = tonumber(redis.call('HGET', KEYS[1], 'ends') or 0)
if ends <= now then
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
    ends = 0
end
local token = redis.call('HGET', KEYS[1], 'token' .. side)
if token and token ~= ARGV[3] then
    return {'place_taken'}
elseif not token and (side == '0' or ends == 0) and ARGV[6] ~= '' then
    return {ARGV[6]}
end
if side == '0' then
    ends = tonumber(redis.call('HGET', KEYS[1], 'until') or now + ARGV[7])
    redis.call('HSET', KEYS[1], 'until', ends)
    if not token then
        redis.call('HSET', KEYS[1], 'network', ARGV[9])
    end
elseif ends == 0 then
    ends = now + ARGV[8]
end
redis.call('HSET', KEYS[1], 'token' .. side, ARGV[3], 'sitter' .. side, sitter, 'bytes' .. side, 0, 'ends', ends)
local other = redis.call('HGET', KEYS[1], 'sitter' .. (1 - side))
local found = {'', ends, 1 - redis.call('HEXISTS', KEYS[1], 'token0'), other and 1 or 0}
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
