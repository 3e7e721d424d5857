#!lua flags=allow-oom
-- A connection ended: its side is kept for its token.
-- KEYS place; ARGV side, sitter.
if redis.call('HGET', KEYS[1], 'sitter' .. ARGV[1]) == ARGV[2] then
    redis.call('HDEL', KEYS[1], 'sitter' .. ARGV[1])
end
return {''}
