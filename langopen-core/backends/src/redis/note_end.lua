-- Notes that the log of a run has ended, if anything is kept of it here and it has not ended before.
local thread, ended_logs = KEYS[1], KEYS[2]
local run, member, now = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HEXISTS', thread, 'run:' .. run) == 1 and redis.call('HSETNX', thread, 'ended:' .. run, now) == 1 then
    redis.call('ZADD', ended_logs, now, member)
end
