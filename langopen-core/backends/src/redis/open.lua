-- Says that a thread is read for the next minute, and tells where a reader begins.
local thread, told, watched = KEYS[1], KEYS[2], KEYS[3]
local run = ARGV[1]
redis.call('SET', watched, '1', 'EX', 60)
local known = redis.call('HMGET', thread, 'last', 'run:' .. run, 'ended:' .. run)
local kept = run == '' or known[2]
return {known[1] or '0-0', known[3] and 1 or 0, kept and 1 or 0}
