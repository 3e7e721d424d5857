#!lua
-- A token admits so many accounts, and no further one once its time is over: "ACCOUNTS[:UNTIL_MS] MADE_MS LABEL".
-- KEYS tokens, holders of tokens, accounts of this token; ARGV account, token hash, 1 to note down that it does, ms now.
-- Answers a refusal, or ''.
local token = redis.call('HGET', KEYS[1], ARGV[2])
if not token then
    return {'not_admitted'}
end
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    local until_ms = string.match(token, '^%d+:(%d+)')
    local over = until_ms and tonumber(ARGV[4]) >= tonumber(until_ms)
    if over or redis.call('SCARD', KEYS[3]) >= tonumber(string.match(token, '^%d+')) then
        return {'not_admitted'}
    end
    if ARGV[3] == '1' then
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
        redis.call('SADD', KEYS[3], ARGV[1])
    end
end
return {''}
