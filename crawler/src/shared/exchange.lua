-- One exchange of a crawler with the frontier that it shares: everything that it has to say, and what it gets for that.
--
--   KEYS[1]  what all keys of this crawl begin with
--   ARGV     session, number of the exchange, milliseconds of the lease, then words of an operation and its arguments
--
-- It runs as a whole or not at all, so no crawler ever sees a half of it. Its number makes it safe to send it again when
-- the answer was lost: what it has brought about is not brought about twice, and the answer is the same.
-- The answer is text, a line for each thing; the first word of a line says what it is. `reply.rs` reads it.

local P, session, number, lease = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local SESSIONS, DYING, HUNGRY, THIRSTY = P .. 'sessions', P .. 'dying', P .. 'hungry', P .. 'thirsty'
local LEVELS = P .. 'levels'
local MINE, ME = P .. 'hosts:' .. session, P .. 'session:' .. session

if not call('ZSCORE', SESSIONS, session) then
    return redis.error_reply('GONE this session has expired, and others have its hosts')
end
call('ZADD', SESSIONS, string.format('%d', now + lease), session)

local last = call('HMGET', ME, 'number', 'answer')
if last[1] == number then
    return last[2]
end

-- The counters of the crawl, read at once and written at once.
local names = {
    'pages', 'per_host', 'bytes', 'levels', 'fading',
    'granted', 'waiting', 'taken', 'done', 'good', 'skipped', 'leased', 'ready', 'reserved', 'drawn',
}
local crawl = {}
for at, value in ipairs(call('HMGET', P .. 'crawl', unpack(names))) do
    crawl[names[at]] = tonumber(value) or 0
end
local function limit(name)
    return crawl[name] < 0 and math.huge or crawl[name]
end
local most_pages, most_per_host, most_bytes = limit('pages'), limit('per_host'), limit('bytes')
local leveled = crawl.levels == 1

local answer = {}
local function say(...)
    answer[#answer + 1] = table.concat({ ... }, '\t')
end
local function whole(value)
    return string.format('%.0f', value)
end

-- Hosts, each read once. What a name leads to must not grow with the crawl.
local hosts = {}
local fields = { 'owner', 'pages', 'done', 'next', 'pause', 'backoff', 'failures', 'ready', 'over' }
local function host(origin)
    local known = hosts[origin]
    if known then
        return known
    end
    local values = call('HMGET', P .. 'host:' .. origin, unpack(fields))
    known = { key = P .. 'host:' .. origin, depths = P .. 'depths:' .. origin, taken = P .. 'taken:' .. origin }
    known.owner = values[1]
    for at = 2, 8 do
        known[fields[at]] = tonumber(values[at]) or 0
    end
    -- The list of hosts that are ready in which it is, by level; none is `false`.
    known.ready = values[8] and tonumber(values[8])
    known.over = values[9] == '1'
    hosts[origin] = known
    return known
end
local function set(h, field, value)
    if h[field] ~= value then
        h[field] = value
        call('HSET', h.key, field, type(value) == 'number' and whole(value) or value)
    end
end

local function origin_of(line)
    return string.match(line, '^[^:]+://[^/?\t]+')
end
local function depth_of(line)
    return tonumber(string.match(line, '^[^\t]*\t(%d+)'))
end
local function queue(origin, depth)
    return P .. 'queue:' .. whole(depth) .. ':' .. origin
end

-- Pages that are not done, by depth: with a limit of depth, no level begins before the one above is done.
local deepest
local function level(depth, more)
    if leveled and more ~= 0 then
        deepest = nil
        if call('HINCRBY', LEVELS, whole(depth), more) <= 0 then
            call('HDEL', LEVELS, whole(depth))
        end
    end
end
local function deepest_level()
    if not leveled then
        return math.huge
    end
    if not deepest then
        deepest = math.huge
        for _, depth in ipairs(call('HKEYS', LEVELS)) do
            deepest = math.min(deepest, tonumber(depth))
        end
    end
    return deepest
end

-- Puts a host that nobody has into the list of those that may be had, if pages of it wait.
local function make_ready(origin, h)
    local first = call('ZRANGE', h.depths, 0, 0)[1]
    local slot = first and (leveled and tonumber(first) or 0)
    if h.ready and h.ready ~= slot then
        call('ZREM', P .. 'ready:' .. whole(h.ready), origin)
        call('HDEL', h.key, 'ready')
        h.ready = false
        crawl.ready = crawl.ready - 1
    end
    if slot and not h.ready then
        call('ZADD', P .. 'ready:' .. whole(slot), whole(h.next), origin)
        set(h, 'ready', slot)
        crawl.ready = crawl.ready + 1
    end
end

local more_for = {}
local function put(line, at_front)
    local origin, depth = origin_of(line), depth_of(line)
    local h = host(origin)
    call(at_front and 'LPUSH' or 'RPUSH', queue(origin, depth), line)
    h.queued = h.queued or {}
    if not h.queued[depth] then
        h.queued[depth] = true
        call('ZADD', h.depths, depth, depth)
    end
    crawl.waiting = crawl.waiting + 1
    if h.owner == session then
        more_for[origin] = true
    elseif not h.owner and (not h.ready or (leveled and depth < h.ready)) then
        make_ready(origin, h)
    end
end

-- A page that its crawler will not fetch goes back to where it was.
local function give_back(line)
    local h = host(origin_of(line))
    if call('SREM', h.taken, line) == 0 then
        return false
    end
    crawl.taken = crawl.taken - 1
    crawl.granted = crawl.granted - 1
    set(h, 'pages', h.pages - 1)
    if h.over then
        crawl.skipped = crawl.skipped + 1
        level(depth_of(line), -1)
    else
        put(line, true)
    end
    return true
end

-- Nobody has this host any more. It may be asked again at `at`.
local function free(origin, owner, at)
    local h = host(origin)
    if h.owner ~= owner then
        return
    end
    for _, line in ipairs(call('SMEMBERS', h.taken)) do
        give_back(line)
    end
    call('SREM', P .. 'hosts:' .. owner, origin)
    call('HDEL', h.key, 'owner')
    h.owner = false
    set(h, 'next', math.max(h.next, at))
    crawl.leased = crawl.leased - 1
    make_ready(origin, h)
end

-- Passes over all pages of a host that wait.
local function drop_waiting(origin, h)
    for _, depth in ipairs(call('ZRANGE', h.depths, 0, -1)) do
        local key = queue(origin, tonumber(depth))
        local count = call('LLEN', key)
        call('UNLINK', key)
        crawl.waiting = crawl.waiting - count
        crawl.skipped = crawl.skipped + count
        level(tonumber(depth), -count)
    end
    call('DEL', h.depths)
    h.queued = nil
end
local function finish_host(origin, h)
    h.over = true
    call('HSET', h.key, 'over', '1')
    drop_waiting(origin, h)
end

-- Gives back what a crawler that is gone has had: hosts, with their pages, and in the end its bytes.
local function clear_up(id, most)
    for _, origin in ipairs(call('SRANDMEMBER', P .. 'hosts:' .. id, most)) do
        free(origin, id, now + host(origin).pause)
    end
    if call('EXISTS', P .. 'hosts:' .. id) == 1 then
        return
    end
    local key = P .. 'session:' .. id
    local bytes = call('HMGET', key, 'reserved', 'drawn', 'committed')
    local committed = tonumber(bytes[3]) or 0
    crawl.reserved = crawl.reserved - (tonumber(bytes[1]) or 0) + committed
    crawl.drawn = crawl.drawn - (tonumber(bytes[2]) or 0) + committed
    call('DEL', key)
    call('ZREM', DYING, id)
    call('ZREM', HUNGRY, id)
    call('ZREM', THIRSTY, id)
end

-- Crawlers that were not heard of in time are gone. What they have had is given back, a part with each exchange.
local function take_over()
    for _, id in ipairs(call('ZRANGEBYSCORE', SESSIONS, '-inf', whole(now), 'LIMIT', 0, 8)) do
        call('ZREM', SESSIONS, id)
        call('ZADD', DYING, whole(now), id)
    end
    local id = call('ZRANGE', DYING, 0, 0)[1]
    if id then
        clear_up(id, 50)
    end
end

-- Gives up to `count` pages of a host to this crawler.
local function pull(origin, count)
    local h = host(origin)
    if h.owner ~= session then
        say('L', origin)
        return
    end
    -- Where a limit leaves no room, nothing waits for this crawler. It hears of it when there is room again.
    count = math.min(count, most_pages - crawl.granted, most_per_host - h.pages)
    if count <= 0 then
        say('P', origin, '0')
        return
    end
    local left = '0'
    local lines = {}
    -- Each depth there has a page at least, so no more of them can be needed.
    for _, text in ipairs(call('ZRANGE', h.depths, 0, whole(count))) do
        local depth = tonumber(text)
        if depth > deepest_level() then
            break
        end
        if count <= #lines then
            left = '1'
            break
        end
        local key = queue(origin, depth)
        for _, line in ipairs(call('LPOP', key, whole(count - #lines)) or {}) do
            lines[#lines + 1] = line
        end
        if call('EXISTS', key) == 0 then
            call('ZREM', h.depths, text)
            if h.queued then
                h.queued[depth] = nil
            end
        else
            left = '1'
        end
    end
    say('P', origin, left)
    if #lines > 0 then
        for from = 1, #lines, 1000 do
            call('SADD', h.taken, unpack(lines, from, math.min(from + 999, #lines)))
        end
        for _, line in ipairs(lines) do
            say('J', line)
        end
        crawl.granted = crawl.granted + #lines
        crawl.taken = crawl.taken + #lines
        crawl.waiting = crawl.waiting - #lines
        set(h, 'pages', h.pages + #lines)
    end
end

local function share()
    return math.ceil((crawl.leased + crawl.ready) / math.max(call('ZCARD', SESSIONS), 1))
end
local function others_in(key)
    local count = call('ZCOUNT', key, whole(now - 2000), '+inf')
    local mine = call('ZSCORE', key, session)
    return count - ((mine and tonumber(mine) >= now - 2000) and 1 or 0)
end

-- Gives hosts to this crawler, with some pages of each: no more than its share while another one waits for some.
local function acquire(count, pages)
    local wanted, got = count, 0
    if others_in(HUNGRY) > 0 then
        count = math.min(count, share() - call('SCARD', MINE))
    end
    local slot = leveled and deepest_level() or 0
    if count > 0 and slot < math.huge and crawl.granted < most_pages then
        local key = P .. 'ready:' .. whole(slot)
        for _, origin in ipairs(call('ZRANGEBYSCORE', key, '-inf', whole(now), 'LIMIT', 0, whole(count))) do
            if crawl.granted >= most_pages then
                break
            end
            local h = host(origin)
            call('ZREM', key, origin)
            call('HDEL', h.key, 'ready')
            h.ready = false
            set(h, 'owner', session)
            call('SADD', MINE, origin)
            crawl.ready = crawl.ready - 1
            crawl.leased = crawl.leased + 1
            got = got + 1
            say('H', origin, whole(h.backoff), whole(h.failures))
            pull(origin, pages)
        end
    end
    if got < wanted then
        call('ZADD', HUNGRY, whole(now), session)
    else
        call('ZREM', HUNGRY, session)
    end
end

-- Bytes that this crawler may receive: of those that it was granted it keeps `granted` and has drawn `drawn`; it must
-- have `need` more, and would like a stock of `extra`, if there are plenty.
local function reserve(granted, drawn, need, extra)
    local mine = call('HMGET', ME, 'reserved', 'drawn')
    local reserved, before = tonumber(mine[1]) or 0, tonumber(mine[2]) or 0
    crawl.drawn = crawl.drawn + drawn - before
    local left = math.max(most_bytes - (crawl.reserved - reserved) - granted, 0)
    local plenty = math.floor(math.max(left - need, 0) / (2 * math.max(call('ZCARD', SESSIONS), 1)))
    local total = granted + math.min(left, need) + math.min(extra, plenty)
    crawl.reserved = crawl.reserved - reserved + total
    call('HSET', ME, 'reserved', whole(total), 'drawn', whole(drawn))
    if left < need then
        call('ZADD', THIRSTY, whole(now), session)
    else
        call('ZREM', THIRSTY, session)
    end
    say('B', whole(total))
end

local at = 4
local function word()
    at = at + 1
    return ARGV[at - 1]
end
local function figure()
    return tonumber(word())
end

local operations = {}

-- A page was found: the list that knows its fingerprint, the fingerprint, and the page. A crawl that is about to be
-- forgotten takes in no more.
operations['+'] = function()
    local shard, fingerprint, line = word(), word(), word()
    if crawl.fading > 0 or host(origin_of(line)).over then
        return
    end
    if call('SADD', P .. 'seen:' .. shard, fingerprint) == 1 then
        level(depth_of(line), 1)
        put(line, false)
    end
end

-- A page is done: whether it does not count (0), failed (1) or went well (2), its bytes, the pause that its host needs.
operations['-'] = function()
    local line, fate, bytes, pause = word(), figure(), figure(), figure()
    local origin = origin_of(line)
    local h = host(origin)
    if h.owner ~= session or call('SREM', h.taken, line) == 0 then
        return
    end
    crawl.taken = crawl.taken - 1
    crawl.done = crawl.done + 1
    if bytes > 0 then
        call('HINCRBY', ME, 'committed', whole(bytes))
    end
    set(h, 'pause', pause)
    if fate == 2 then
        crawl.good = crawl.good + 1
    end
    if fate > 0 then
        set(h, 'done', h.done + 1)
        if h.done >= most_per_host then
            finish_host(origin, h)
        end
    else
        crawl.granted = crawl.granted - 1
        set(h, 'pages', h.pages - 1)
        more_for[origin] = true
    end
    level(depth_of(line), -1)
end

-- A page that was begun waits again; its bytes count.
operations['<'] = function()
    local line, bytes = word(), figure()
    if host(origin_of(line)).owner == session and give_back(line) and bytes > 0 then
        call('HINCRBY', ME, 'committed', whole(bytes))
    end
end

-- A host has failed too often: what waits of it, and what of it is here, is passed over.
operations['x'] = function()
    local origin, pause = word(), figure()
    local h = host(origin)
    if h.owner == session then
        finish_host(origin, h)
        free(origin, session, now + pause)
    end
end

-- A host is given back: how long it may not be asked, what it needs between two requests, how it fared.
operations['f'] = function()
    local origin, wait, pause, backoff, failures = word(), figure(), figure(), figure(), figure()
    local h = host(origin)
    if h.owner == session then
        set(h, 'pause', pause)
        set(h, 'backoff', backoff)
        set(h, 'failures', failures)
        free(origin, session, now + wait)
    end
end

-- A host needs such a pause.
operations['n'] = function()
    local origin, pause = word(), figure()
    local h = host(origin)
    if h.owner == session then
        set(h, 'pause', pause)
    end
end

operations['p'] = function()
    local origin = word()
    pull(origin, figure())
end

operations['a'] = function()
    local count = figure()
    acquire(count, figure())
end

operations['b'] = function()
    local granted, drawn, need = figure(), figure(), figure()
    reserve(granted, drawn, need, figure())
end

-- The crawler leaves, and others take over.
operations['l'] = function()
    call('ZREM', SESSIONS, session)
    call('ZADD', DYING, '0', session)
    clear_up(session, 1000)
end

take_over()
while at <= #ARGV do
    operations[word()]()
end
for origin in pairs(more_for) do
    say('M', origin)
end

local over = crawl.taken <= 0 and (crawl.waiting <= 0 or crawl.granted >= most_pages)
say('S', call('ZCARD', SESSIONS), whole(crawl.ready), whole(crawl.waiting), whole(crawl.done), whole(crawl.good), whole(share()),
    others_in(HUNGRY), others_in(THIRSTY), crawl.drawn >= most_bytes and '1' or '0', over and '1' or '0')

local written = {}
for at = 6, #names do
    written[#written + 1] = names[at]
    written[#written + 1] = whole(crawl[names[at]])
end
call('HSET', P .. 'crawl', unpack(written))
local text = table.concat(answer, '\n')
if call('EXISTS', ME) == 1 then
    call('HSET', ME, 'number', number, 'answer', text)
end
-- What a crawl that is over is given still is gone with it.
if crawl.fading > 0 then
    for _, key in ipairs({ SESSIONS, DYING, HUNGRY, THIRSTY, MINE, ME }) do
        call('PEXPIREAT', key, whole(crawl.fading))
    end
end
return text
