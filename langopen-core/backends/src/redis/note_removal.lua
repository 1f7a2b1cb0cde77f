-- Removes what is here of a thread, unless something was appended after a moment.
local thread, live, told, ended_logs, told_threads = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, moment = ARGV[1], tonumber(ARGV[2])
local last = redis.call('HGET', thread, 'last')
if not last or tonumber(string.match(last, '^%d+')) > moment then
    return
end
for _, field in ipairs(redis.call('HKEYS', thread)) do
    local run = string.match(field, '^run:(.+)$')
    if run then
        redis.call('UNLINK', thread .. ':run:' .. run)
        redis.call('ZREM', ended_logs, id .. ' ' .. run)
    end
end
redis.call('UNLINK', thread, live, told)
redis.call('ZREM', told_threads, id)
