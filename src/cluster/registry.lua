-- The calls of the registry (src/core/cluster/registry.rs), each of which is atomic. The model
-- (src/core/cluster/registry/model.rs) does the same. For Redis 6.2 or newer, and Valkey.
--
-- KEYS[1] is the membership, a hash:
--   word      a random text that begins with the membership
--   renewals  number of renewals of all nodes
--   freed     slots that had a holder and have none: "slot:renewals:b" with b for a buried holder
--             and d for one that departed, separated by spaces
--   n<node>   "counter slot version epoch standing settings address", slot and address - for none,
--             standing a, s or l, settings a fingerprint; later releases may append more
-- The other keys are records: node, fence, epoch, 1 if the node has left, and + and the host, or -.
-- Nodes, fences and epochs are 16 hexadecimal digits, because Lua's numbers end at 2^53.
--
-- ARGV[1] is the call, ARGV[2] the word of a membership that begins now, ARGV[3] a text for the run
-- of this server where INFO is forbidden, ARGV[4] what the names of inboxes begin with.

local SLOTS, SLOT_REST, SCANNED, MOST_AHEAD_MS = 256, 4000, 100, 300000
local ARGUMENTS = 4
local members, inboxes = KEYS[1], ARGV[4]

local function arg(n)
  return ARGV[ARGUMENTS + n]
end

-- A script may write without room for more once it has written: what takes no room still works.
local function works_without_room()
  redis.call('HDEL', members, '')
end

local function generation()
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and info:match('run_id:(%w+)') or ARGV[3]
  local word = redis.call('HGET', members, 'word')
  if not word then
    word = ARGV[2]
    redis.call('HSET', members, 'word', word)
  end
  return run .. ':' .. word
end

local function not_registered()
  return { 'not registered', generation() }
end

local function renewals()
  return tonumber(redis.call('HGET', members, 'renewals') or 0)
end

local function parse_node(id, text)
  local counter, slot, version, epoch, standing, rest =
    text:match('^(%d+) (%S+) (%d+) (%x+) (%a) (.*)$')
  return { id = id, counter = tonumber(counter), slot = tonumber(slot), version = version,
    epoch = epoch, standing = standing, rest = rest }
end

local function node_text(node)
  return string.format('%d %s %s %s %s %s', node.counter, node.slot or '-', node.version,
    node.epoch, node.standing, node.rest)
end

local function get_node(id)
  local text = redis.call('HGET', members, 'n' .. id)
  return text and parse_node(id, text)
end

local function put_node(node)
  redis.call('HSET', members, 'n' .. node.id, node_text(node))
end

local function is_registered(id)
  return redis.call('HEXISTS', members, 'n' .. id) == 1
end

local function nodes()
  local fields, found = redis.call('HGETALL', members), {}
  for i = 1, #fields, 2 do
    if fields[i]:sub(1, 1) == 'n' then
      found[#found + 1] = parse_node(fields[i]:sub(2), fields[i + 1])
    end
  end
  return found
end

local function is_asserting()
  for _, node in ipairs(nodes()) do
    if node.standing == 'a' then return true end
  end
  return false
end

-- Every node as text, its number first.
local function view()
  local fields, found = redis.call('HGETALL', members), {}
  for i = 1, #fields, 2 do
    if fields[i]:sub(1, 1) == 'n' then
      found[#found + 1] = fields[i]:sub(2) .. ' ' .. fields[i + 1]
    end
  end
  return found
end

local function get_freed()
  local freed = {}
  for slot, at, how in (redis.call('HGET', members, 'freed') or ''):gmatch('(%d+):(%d+):(%a)') do
    freed[tonumber(slot)] = { at = tonumber(at), rests = how == 'b' }
  end
  return freed
end

local function put_freed(freed)
  local parts = {}
  for slot, one in pairs(freed) do
    parts[#parts + 1] = string.format('%d:%d:%s', slot, one.at, one.rests and 'b' or 'd')
  end
  redis.call('HSET', members, 'freed', table.concat(parts, ' '))
end

-- Slots that nobody has had come first, then the one that has been free for longest.
local function longest_free(holders, freed, now)
  local best, since
  for slot = 0, SLOTS - 1 do
    local one = freed[slot] or { at = -1 }
    local rests = one.rests and now < one.at + SLOT_REST
    if not holders[slot] and not rests and (not best or one.at < since) then
      best, since = slot, one.at
    end
  end
  return best
end

-- node, version, epoch, standing, whether it wants a slot, settings, address, then nodes and slots
-- that it carries
local function register()
  local id, now, first = arg(1), renewals(), generation()
  local known = get_node(id)
  local node = known or { id = id, counter = 0 }
  node.version, node.epoch, node.standing = arg(2), arg(3), arg(4)
  node.rest = arg(6) .. ' ' .. arg(7)
  local holders, freed, highest = {}, get_freed(), nil
  for _, one in ipairs(nodes()) do
    if one.slot then holders[one.slot] = one.id end
    if not highest or one.epoch > highest then highest = one.epoch end
  end
  local own
  for i = 8, #ARGV - ARGUMENTS, 2 do
    if arg(i) == id and not own then own = tonumber(arg(i + 1)) end
  end
  -- epochs are below 2^53
  if not known and not own and highest
    and tonumber(node.epoch, 16) > tonumber(highest, 16) + MOST_AHEAD_MS then
    return { 'ahead', first, highest }
  end
  if not node.slot and own and not holders[own] then node.slot = own end
  for i = 8, #ARGV - ARGUMENTS, 2 do
    local slot = tonumber(arg(i + 1))
    if not holders[slot] then freed[slot] = { at = now, rests = true } end
  end
  if not node.slot and arg(5) == '1' then node.slot = longest_free(holders, freed, now) end
  if node.slot then freed[node.slot] = nil end
  put_node(node)
  put_freed(freed)
  return { 'registered', first, now, view() }
end

-- node, epoch, standing
local function renew()
  local node = get_node(arg(1))
  if not node then return not_registered() end
  works_without_room()
  node.counter, node.epoch, node.standing = node.counter + 1, arg(2), arg(3)
  put_node(node)
  redis.call('HINCRBY', members, 'renewals', 1)
  local highest = node.epoch
  for _, one in ipairs(nodes()) do
    if one.epoch > highest then highest = one.epoch end
  end
  redis.call('PUBLISH', inboxes .. node.id, 'tick ' .. node.counter)
  return { 'renewed', generation(), node.counter, highest }
end

local function look()
  local found, channels, ids, listening = view(), {}, {}, {}
  for i, node in ipairs(found) do
    ids[i] = node:sub(1, 16)
    channels[i] = inboxes .. ids[i]
  end
  if #channels > 0 then
    local counts = redis.call('PUBSUB', 'NUMSUB', unpack(channels))
    for i, id in ipairs(ids) do
      if counts[2 * i] > 0 then listening[#listening + 1] = id end
    end
  end
  return { 'view', generation(), renewals(), found, listening }
end

-- node, and the counter that stood still or nothing
local function remove()
  local node = get_node(arg(1))
  if not node or arg(2) and node.counter ~= tonumber(arg(2)) then return { 'removed', 0 } end
  works_without_room()
  redis.call('HDEL', members, 'n' .. node.id)
  if node.slot then
    local freed = get_freed()
    freed[node.slot] = { at = renewals(), rests = arg(2) ~= nil }
    put_freed(freed)
  end
  return { 'removed', 1 }
end

local function parse_record(text)
  -- what another program wrote there is no record
  if type(text) ~= 'string' or #text < 50 then return nil end
  return { text = text, node = text:sub(1, 16), fence = text:sub(17, 32),
    epoch = text:sub(33, 48), has_left = text:sub(49, 49) == '1', host = text:sub(50) }
end

local function put_record(key, record)
  redis.call('SET', key, record.node .. record.fence .. record.epoch ..
    (record.has_left and '1' or '0') .. record.host)
end

local NOWHERE = { epoch = string.rep('0', 16), host = '-' }

-- Whether the node of a record is registered, and has the page.
local function stands(record)
  return not record.has_left and is_registered(record.node)
end

-- node, fence
local function claim()
  local id, fence = arg(1), arg(2)
  if not is_registered(id) then return not_registered() end
  local before = parse_record(redis.call('GET', KEYS[2]))
  local is_own = before and before.node == id and not before.has_left
  if before then
    -- the record may be the one of this very claim, whose answer was lost
    local again = is_own and before.fence == fence
    if not is_own and stands(before) then return { 'lives', before.text } end
    if before.fence >= fence and not again then return { 'behind', before.text } end
  end
  if not is_own and is_asserting() then return { 'asserting' } end
  local last = before or NOWHERE
  put_record(KEYS[2], { node = id, fence = fence, epoch = last.epoch, host = last.host })
  return { 'taken', before and before.text or '' }
end

-- node, then fence, epoch and host of each page
local function assert_pages()
  local id = arg(1)
  if not is_registered(id) then return not_registered() end
  local told = {}
  for i = 2, #KEYS do
    local at = 2 + 3 * (i - 2)
    local fence, epoch, host = arg(at), arg(at + 1), arg(at + 2)
    local before = parse_record(redis.call('GET', KEYS[i]))
    local is_known = before and before.node == id and before.fence == fence
    if before and not is_known
      and (before.fence >= fence or before.node ~= id and stands(before)) then
      told[#told + 1] = before.text
    else
      if before and before.epoch > epoch then epoch, host = before.epoch, before.host end
      put_record(KEYS[i], { node = id, fence = fence, epoch = epoch, host = host,
        has_left = is_known and before.has_left })
      told[#told + 1] = ''
    end
  end
  return { 'asserted', told }
end

-- who asks, node, fence
local function release()
  local record = parse_record(redis.call('GET', KEYS[2]))
  if not record or record.node ~= arg(2) or record.fence ~= arg(3)
    or arg(1) ~= arg(2) and is_registered(arg(2)) then
    return { 'changed', 0 }
  end
  return { 'changed', redis.call('DEL', KEYS[2]) }
end

-- node, then the fence of each page
local function give_up()
  local changed = 0
  works_without_room()
  for i = 2, #KEYS do
    local record = parse_record(redis.call('GET', KEYS[i]))
    if record and record.node == arg(1) and record.fence == arg(i) and not record.has_left then
      record.has_left = true
      put_record(KEYS[i], record)
      changed = changed + 1
    end
  end
  return { 'changed', changed }
end

local function find()
  return { 'found', redis.call('GET', KEYS[2]) or '' }
end

-- cursor, pattern of the keys of records
local function scan()
  local cursor, keys = unpack(redis.call('SCAN', arg(1), 'MATCH', arg(2), 'COUNT', SCANNED))
  local found = {}
  for _, key in ipairs(keys) do
    local record = parse_record(redis.pcall('GET', key))
    if record and not is_registered(record.node) then
      found[#found + 1], found[#found + 2] = key, record.text
    end
  end
  return { 'scanned', found, cursor }
end

local calls = { register = register, renew = renew, look = look, remove = remove, claim = claim,
  assert = assert_pages, release = release, give_up = give_up, find = find, scan = scan }
return calls[ARGV[1]]()
