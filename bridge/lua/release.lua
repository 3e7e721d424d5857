#!lua flags=allow-oom
-- A queue was not made: its route leads nowhere. KEYS route; ARGV account. Answers how many routes went.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
