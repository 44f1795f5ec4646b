-- A crawl that is over is forgotten, all of its keys at the same moment.
--
--   KEYS[1]  what all keys of this crawl begin with
--   ARGV     'begin' and for how many milliseconds it is remembered, or
--            'clear', to begin whatever is left to do, for a moment that is now, or
--            'mark', the moment that was answered, and some of its keys, or
--            'end' and that moment
--
-- A key that expires with its crawl must not expire without it. So first the crawl is told the moment, and takes in
-- nothing from then on; then every key of it is given that moment; and that of the crawl itself comes last, so whoever
-- finds it without one knows that somebody has died in between, and marks them again.

local P, operation = KEYS[1], ARGV[1]
local call = redis.call
local CRAWL = P .. 'crawl'

if operation == 'begin' then
    local time = call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local crawl = call('HMGET', CRAWL, 'fading', 'taken', 'waiting', 'done')
    local function figure(at)
        return tonumber(crawl[at]) or 0
    end
    local over = figure(2) <= 0 and figure(3) <= 0 and figure(4) > 0
    if not over or call('PTTL', CRAWL) >= 0 then
        return '0'
    end
    local moment = crawl[1] or string.format('%.0f', now + tonumber(ARGV[2]))
    call('HSET', CRAWL, 'fading', moment)
    return moment
end

-- Somebody has enough of it. Who joins in between takes part in the marking, and then begins anew.
if operation == 'clear' then
    local kind = call('TYPE', CRAWL)
    kind = kind.ok or kind
    if kind == 'none' then
        return '0'
    elseif kind ~= 'hash' or not call('HGET', CRAWL, 'version') then
        return redis.error_reply('FOREIGN the key ' .. CRAWL .. ' is something else')
    end
    local time = call('TIME')
    local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    local alive = call('ZCOUNT', P .. 'sessions', '(' .. now, '+inf')
    if alive > 0 then
        return redis.error_reply('ALIVE ' .. alive)
    end
    call('HSET', CRAWL, 'fading', now)
    call('PERSIST', CRAWL)
    return now
end

local moment = ARGV[2]
if call('HGET', CRAWL, 'fading') ~= moment then
    return '0'
end
if operation == 'end' then
    call('PEXPIREAT', CRAWL, moment)
end
for at = 3, #ARGV do
    if ARGV[at] ~= CRAWL then
        call('PEXPIREAT', ARGV[at], moment)
    end
end
return moment
