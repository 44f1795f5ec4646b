-- A crawler joins a crawl, or begins it.
--
--   KEYS[1]  what all keys of this crawl begin with
--   ARGV     version, a random key, milliseconds of the lease, an earlier session of this crawler or nothing,
--            and the limits: pages, pages per host, bytes (-1: none), links from a seed (-1: none)
--
-- The answer: the number of its session, the key for fingerprints, and for how many milliseconds a crawl that is over is
-- still remembered (-1: it is not over). Session 0 is none: `fade.lua` has to mark the keys first, with the moment that is
-- answered in place of the key.

local P, version, key, lease, earlier = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local CRAWL, SESSIONS = P .. 'crawl', P .. 'sessions'

local kind = call('TYPE', CRAWL)
kind = kind.ok or kind
if kind ~= 'none' and (kind ~= 'hash' or not call('HGET', CRAWL, 'version')) then
    return redis.error_reply('FOREIGN the key ' .. CRAWL .. ' is something else')
end
local theirs = call('HGET', CRAWL, 'version')
if theirs and theirs ~= version then
    return redis.error_reply('VERSION ' .. theirs)
end
local fading = theirs and tonumber(call('HGET', CRAWL, 'fading'))
if fading and call('PTTL', CRAWL) < 0 then
    return { 0, string.format('%.0f', fading), -1 }
end
if earlier ~= '' and call('ZREM', SESSIONS, earlier) == 1 then
    call('ZADD', P .. 'dying', '0', earlier)
end

local limits = { 'pages', 'per_host', 'bytes', 'depth' }
local alive = call('ZCOUNT', SESSIONS, string.format('(%d', now), '+inf') > 0
for at, name in ipairs(limits) do
    local mine, there = ARGV[at + 4], call('HGET', CRAWL, name)
    if there and there ~= mine and alive then
        return redis.error_reply('LIMITS ' .. name .. ' ' .. there)
    end
end
if not theirs then
    call('HSET', CRAWL, 'version', version, 'key', key)
end
local depth = tonumber(ARGV[8])
-- Levels are counted from the beginning or not at all.
if not theirs then
    call('HSET', CRAWL, 'levels', depth >= 0 and 1 or 0)
elseif (call('HGET', CRAWL, 'levels') == '1') ~= (depth >= 0) then
    return redis.error_reply('LEVELS ' .. call('HGET', CRAWL, 'depth'))
end
call('HSET', CRAWL, 'pages', ARGV[5], 'per_host', ARGV[6], 'bytes', ARGV[7], 'depth', ARGV[8])

local session = call('HINCRBY', CRAWL, 'sessions', 1)
call('ZADD', SESSIONS, string.format('%d', now + lease), session)
call('HSET', P .. 'session:' .. session, 'number', '0')
if fading then
    call('PEXPIREAT', SESSIONS, string.format('%.0f', fading))
    call('PEXPIREAT', P .. 'session:' .. session, string.format('%.0f', fading))
end
return { session, call('HGET', CRAWL, 'key'), fading and fading - now or -1 }
