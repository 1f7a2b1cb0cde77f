-- What is there of a thread after a place, of one moment: from each of its streams some entries, and whether that is all of the stream.
local thread, live, told = KEYS[1], KEYS[2], KEYS[3]
local after, count = ARGV[1], tonumber(ARGV[2])
local logs = {}
local function read(key)
    local entries = redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', count)
    if #entries > 0 then
        logs[#logs + 1] = entries
    end
end
read(live)
read(told)
for _, field in ipairs(redis.call('HKEYS', thread)) do
    local run = string.match(field, '^run:(.+)$')
    if run then
        read(thread .. ':run:' .. run)
    end
end
return logs
