#!lua
-- Who holds a queue: its first account, for as long as the route lives.
-- KEYS route; ARGV account, seconds to live, the account this one takes over from or ''. Answers the holder.
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[3] then
    holder = ARGV[1]
end
redis.call('SET', KEYS[1], holder, 'EX', ARGV[2])
return holder
