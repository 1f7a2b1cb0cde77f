-- Removes logs of runs that ended up to a moment, and what was said of threads up to then; tells how many logs that were.
local ended_logs, told_threads = KEYS[1], KEYS[2]
local prefix, moment, most = ARGV[1], ARGV[2], ARGV[3]
local over = redis.call('ZRANGEBYSCORE', ended_logs, '-inf', moment, 'LIMIT', 0, most)
for _, member in ipairs(over) do
    local id, run = string.match(member, '^(%S+) (%S+)$')
    local thread = prefix .. id
    redis.call('UNLINK', thread .. ':run:' .. run)
    redis.call('HDEL', thread, 'run:' .. run, 'ended:' .. run)
    redis.call('ZREM', ended_logs, member)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', told_threads, '-inf', moment, 'LIMIT', 0, most)) do
    redis.call('UNLINK', prefix .. id .. ':told')
    redis.call('ZREM', told_threads, id)
end
return #over
