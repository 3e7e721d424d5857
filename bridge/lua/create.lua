#!lua
-- KEYS queue, stream, sizes, account, heads, queues; ARGV name, token hash, public, now, may it be made, queues at most,
-- the origin that a new account counts under or '', and the refusal of a new account, and of a queue, or ''.
-- Answers a refusal, or '', whether an account was made, and a queue, and the origin of the account or '';
-- 'queue_gone' where it is not there and may not be made here.
local account, queue = 0, 0
if redis.call('EXISTS', KEYS[1]) == 0 then
    if ARGV[5] ~= '1' then
        return {'queue_gone'}
    end
    local known = redis.call('EXISTS', KEYS[4]) == 1
    local origin = ARGV[7]
    if known then
        origin = redis.call('HGET', KEYS[4], 'origin') or ''
    end
    if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[6]) then
        return {'account_full'}
    elseif not known and ARGV[8] ~= '' then
        return {ARGV[8]}
    elseif ARGV[9] ~= '' and (origin ~= '' or ARGV[9] == 'not_admitted') then
        return {ARGV[9]}
    end
    if not known then
        account = 1
        redis.call('HSET', KEYS[4], 'seen', ARGV[4], 'made', ARGV[4])
        if origin ~= '' then
            redis.call('HSET', KEYS[4], 'origin', origin)
        end
    end
    queue = 1
    redis.call('HSET', KEYS[1], 'blobs', 0, 'bytes', 0, 'last', 0)
    redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1])
end
redis.call('HSET', KEYS[1], 'token', ARGV[2], 'public', ARGV[3])
return {'', account, queue, redis.call('HGET', KEYS[4], 'origin') or ''}
