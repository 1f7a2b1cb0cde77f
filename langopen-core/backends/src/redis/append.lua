-- Appends a record to a thread, or tells that it goes nowhere. See log_store.rs for the keys.
local thread, live, told, run_log, watched, epoch, ended_logs, told_threads, moves =
    KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local kind, run, keep, attempt = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local first_ms, first_seq, now, count = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local mark, again, channel, id, generation = ARGV[9], ARGV[10] == '1', ARGV[11], ARGV[12], ARGV[13]
local told_until, live_until, live_bytes, day, push_bytes =
    ARGV[14], ARGV[15], tonumber(ARGV[16]), ARGV[17], tonumber(ARGV[18])
local everyone, fenced, bytes = ARGV[19] == '1', ARGV[20] == '1', ARGV[21]

local function place(ms, seq)
    return string.format('%.0f-%.0f', ms, seq)
end

-- The log may have moved away while this server was not reached, and the caller may not know it yet.
if fenced and tonumber(redis.call('GET', moves) or '0') > tonumber(generation) then
    return {'moved'}
end

local known = redis.call('HMGET', thread, 'last', 'run:' .. run, 'ended:' .. run, 'speaker')
local last = known[1] or '0-0'
local ours, ended = known[2], known[3]

if again then
    for n, key in ipairs({live, told, run_log}) do
        for _, entry in ipairs(redis.call('XRANGE', key, place(first_ms, first_seq), '+')) do
            if string.sub(entry[2][4], 19, 34) == mark then
                return {entry[2][2], entry[1], n == 1 and '0' or '1', '1'}
            end
        end
    end
end
-- Whose words the last ones of a run were: an earlier attempt of that run says nothing more.
if kind == 'r' and known[4] then
    local speaker, latest = string.match(known[4], '^(%S+) (%d+)$')
    if speaker == run and tonumber(latest) > attempt then
        return {'late'}
    end
end
if ended and (kind == 'r' or kind == 'e') then
    return {}
end
local kept = kind == 't' or ((kind == 'r' or kind == 'e') and ours) or (kind == 'r' and keep)

-- An empty server may have forgotten who reads: until all have said so again, everybody may.
local time = tonumber(redis.call('TIME')[1])
if redis.call('SET', epoch, time, 'NX') then
    time = 0
else
    time = time - tonumber(redis.call('GET', epoch))
end
local read = everyone or time < 60 or redis.call('EXISTS', watched) == 1

if kind == 'x' then
    for _, field in ipairs(redis.call('HKEYS', thread)) do
        local of = string.match(field, '^run:(.+)$')
        if of then
            redis.call('UNLINK', thread .. ':run:' .. of)
            redis.call('ZREM', ended_logs, id .. ' ' .. of)
        end
    end
    redis.call('UNLINK', thread, told, live)
    redis.call('ZREM', told_threads, id)
end
if not kept and not read and kind ~= 'x' then
    return {}
end

local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
last_ms, last_seq = tonumber(last_ms), tonumber(last_seq)
if first_ms < last_ms or (first_ms == last_ms and first_seq <= last_seq) then
    if now > last_ms then
        first_ms, first_seq = now, 0
    else
        first_ms, first_seq = last_ms, last_seq + 1
    end
end
local at = place(first_ms, first_seq + count - 1)

if not kept then
    redis.call('XADD', live, 'MINID', '~', live_until, at, 'p', last, 'b', bytes)
    if redis.call('HINCRBY', thread, 'bytes', #bytes) > live_bytes then
        redis.call('XTRIM', live, 'MAXLEN', math.ceil(redis.call('XLEN', live) / 2))
        redis.call('HSET', thread, 'bytes', live_bytes / 2)
    end
    redis.call('EXPIRE', live, 60)
elseif kind == 'r' then
    redis.call('XADD', run_log, at, 'p', last, 'b', bytes)
    redis.call('EXPIRE', run_log, day)
    if not ours then
        redis.call('HSET', thread, 'run:' .. run, '1')
    end
else
    redis.call('XADD', told, 'MINID', '~', told_until, at, 'p', last, 'b', bytes)
    redis.call('EXPIRE', told, day)
    redis.call('ZADD', told_threads, now, id)
    if kind == 'e' then
        redis.call('HSET', thread, 'ended:' .. run, now)
        redis.call('ZADD', ended_logs, now, id .. ' ' .. run)
    end
end
redis.call('HSET', thread, 'last', at)
if kind == 'r' then
    redis.call('HSET', thread, 'speaker', run .. ' ' .. attempt)
end
redis.call('EXPIRE', thread, day)

if read then
    local head = last .. ' ' .. at .. ' ' .. generation .. '\n'
    if #bytes <= push_bytes then
        head = head .. bytes
    end
    redis.call('PUBLISH', channel, head)
end
return {last, at, kept and '1' or '0', read and '1' or '0'}
