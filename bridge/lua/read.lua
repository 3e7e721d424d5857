#!lua flags=no-writes
-- KEYS queue, stream, sizes, account, heads, queues; ARGV after, blobs at most, bytes at most.
-- Answers a refusal, or '' and cursors and blobs in turn.
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {'queue_gone'}
end
local found, from, left = {''}, '(' .. ARGV[1] .. '-0', tonumber(ARGV[3])
for _ = 1, tonumber(ARGV[2]) do
    local entry = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1)[1]
    if not entry then
        break
    end
    left = left - #entry[2][2]
    if left < 0 and #found > 1 then
        break
    end
    found[#found + 1] = string.match(entry[1], '^%d+')
    found[#found + 1] = entry[2][2]
    from = '(' .. entry[1]
end
return found
