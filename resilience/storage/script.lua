-- The rules of the circuit for the whole fleet: one run of this script is one decision.
-- resilience/rules.py and machine.py are the same for one process; change both together.
--
-- KEYS  1 hash of the circuit, 2 leases of probes (token -> expiry), 3 log, 4 names
-- ARGV  1 the command, 2 the policy, both as JSON objects
-- The reply is one text, its values joined by the separator: a client reads that faster
-- than twenty values.
-- Times are whole milliseconds of this server's clock. Epochs are milliseconds times 1000,
-- so they are never used twice, even after the server was emptied.

local SEPARATOR = string.char(31)
local command, policy = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])

local BUCKETS = 10
local MAX_DOUBLINGS = 30
local MODE_AFTER = {
  force_open = 'forced_open', disable = 'disabled', observe = 'observe',
  auto = 'auto', reset = 'auto',
}

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local fields = {
  'state', 'mode', 'era', 'epoch', 'failures', 'successes', 'opens', 'failures_total',
  'retry_at', 'since', 'mode_since', 'reason', 'mode_reason', 'window',
}
local words = { state = true, mode = true, reason = true, mode_reason = true, window = true }

local circuit, writes = {}, {}
local created = false
local admitted, probe, dropped, lost = false, false, false, 0
local transition = {}

local function text(value)
  if type(value) == 'number' then return string.format('%.0f', value) end
  return value
end

local function set(name, value)
  circuit[name] = value
  writes[#writes + 1] = name
  writes[#writes + 1] = text(value)
end

local function load()
  local stored = redis.call('HMGET', KEYS[1], unpack(fields))
  if stored[1] then
    for index, name in ipairs(fields) do
      circuit[name] = words[name] and stored[index] or tonumber(stored[index])
    end
    return
  end
  created = true
  for _, name in ipairs(fields) do set(name, words[name] and '' or 0) end
  set('state', 'closed')
  set('mode', policy.initial_mode)
  set('era', now * 1000)
  set('epoch', now * 1000)
  set('since', now)
  set('mode_since', now)
  redis.call('DEL', KEYS[2])
  redis.call('SADD', KEYS[4], command.breaker)
end

local function save()
  if #writes == 0 then return end
  redis.call('HSET', KEYS[1], unpack(writes))
  -- What a new circuit would be may be forgotten; an operator's word may not.
  local is_said = circuit.mode ~= 'auto' and circuit.mode_reason ~= ''
  if circuit.state == 'closed' and circuit.mode == policy.initial_mode and not is_said then
    redis.call('PEXPIRE', KEYS[1], policy.keep_ms)
  else
    redis.call('PERSIST', KEYS[1])
  end
end

-- A clock that was set back must not lock a circuit or a probe slot.
local function bound_deadlines()
  if circuit.state == 'open' then
    local limit = now + policy.cap_ms
    if circuit.retry_at > limit then
      set('retry_at', limit)
    end
  elseif circuit.state == 'half_open' then
    local limit = now + policy.lease_ms
    local above = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(limit), '+inf')
    for _, token in ipairs(above) do redis.call('ZADD', KEYS[2], text(limit), token) end
  end
end

-- The window of the failure rate: "index:calls:failures;" for each bucket in use.
local function buckets()
  local found, last = {}, math.floor(now / policy.bucket_ms)
  for index, calls, failures in string.gmatch(circuit.window, '(%d+):(%d+):(%d+);') do
    index = tonumber(index)
    if index <= last and index > last - BUCKETS then
      found[index] = { tonumber(calls), tonumber(failures) }
    end
  end
  return found, last
end

local function count(calls, failures)
  if circuit.state ~= 'closed' or policy.rate <= 0 then return end
  local found, last = buckets()
  local held = found[last] or { 0, 0 }
  found[last] = { held[1] + calls, held[2] + failures }
  local parts = {}
  for index, pair in pairs(found) do
    parts[#parts + 1] = text(index) .. ':' .. text(pair[1]) .. ':' .. text(pair[2]) .. ';'
  end
  set('window', table.concat(parts))
end

local function trips()
  if policy.rate <= 0 then return circuit.failures >= policy.threshold end
  local calls, failures = 0, 0
  for _, pair in pairs(buckets()) do
    calls, failures = calls + pair[1], failures + pair[2]
  end
  return calls >= policy.minimum_calls and failures >= policy.rate * calls
end

local function go(state, cause, old_mode, new_era, wait)
  local old_state, failures = circuit.state, circuit.failures
  set('epoch', math.max(circuit.epoch + 1, now * 1000))
  if new_era then
    set('state', state)
    set('era', circuit.epoch)
    set('since', now)
    set('reason', command.reason ~= '' and command.reason or cause)
    set('successes', 0)
    set('window', '')
    redis.call('DEL', KEYS[2])
    if state == 'closed' then set('failures', 0) end
  end
  transition = {
    'epoch', text(circuit.epoch), 'at_ms', text(now), 'old_state', old_state,
    'new_state', circuit.state, 'old_mode', old_mode, 'new_mode', circuit.mode,
    'cause', cause, 'actor', command.actor, 'reason', command.reason, 'failures', text(failures),
    'wait_ms', text(wait), 'error', command.error,
  }
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', policy.log_length, '*', unpack(transition))
end

local function open(cause)
  local wait
  if command.wait_ms > 0 then
    wait = math.min(command.wait_ms, policy.cap_ms)
  else
    local doublings = math.min(circuit.opens, MAX_DOUBLINGS)
    wait = math.min(policy.recovery_ms * 2 ^ doublings, policy.cap_ms)
    wait = wait - math.floor(wait * command.jitter / 10000)
  end
  set('opens', circuit.opens + 1)
  set('retry_at', now + wait)
  go('open', cause, circuit.mode, true, wait)
end

local function expire_leases()
  lost = lost + redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
end

local function change_mode(mode, state, cause)
  local old_mode = circuit.mode
  set('mode', mode)
  set('mode_since', now)
  set('mode_reason', command.reason)
  go(state, cause, old_mode, cause == 'reset', 0)
end

local handlers = {}

function handlers.view() end

function handlers.acquire()
  if circuit.mode == 'forced_open' then return end
  if circuit.mode == 'disabled' then
    admitted = true
    return
  end
  if circuit.state == 'open' and now >= circuit.retry_at then
    go('half_open', 'elapsed', circuit.mode, true, 0)
  end
  if circuit.state == 'closed' then
    admitted = true
  elseif circuit.state == 'half_open' then
    expire_leases()
    if redis.call('ZCARD', KEYS[2]) < policy.probes then
      redis.call('ZADD', KEYS[2], text(now + policy.lease_ms), command.token)
      admitted, probe = true, true
    end
  end
end

local function settle_closed()
  if command.outcome == 'success' then
    if circuit.failures > 0 then set('failures', 0) end
    count(1, 0)
  elseif command.outcome == 'failure' then
    set('failures', circuit.failures + 1)
    count(1, 1)
    if trips() then open('failures') end
  end
end

local function settle_probe()
  expire_leases()
  if redis.call('ZREM', KEYS[2], command.token) == 0 then
    dropped = true
  elseif command.outcome == 'failure' then
    open('probe_failed')
  elseif command.outcome == 'success' then
    set('successes', circuit.successes + 1)
    if circuit.successes >= policy.to_close then
      set('opens', 0)
      go('closed', 'recovered', circuit.mode, true, 0)
    end
  end
end

function handlers.settle()
  if command.outcome == 'failure' then
    set('failures_total', circuit.failures_total + 1)
  end
  if command.era ~= circuit.era then
    dropped = true
  elseif circuit.state == 'closed' then
    settle_closed()
  elseif circuit.state == 'half_open' then
    settle_probe()
  end
end

function handlers.trip()
  if circuit.state == 'open' then dropped = true else open('tripped') end
end

function handlers.operate()
  local state = circuit.state
  if command.action == 'reset' then
    state = 'closed'
    set('opens', 0)
  end
  change_mode(MODE_AFTER[command.action], state, command.action)
end

function handlers.restore()
  if circuit.mode == command.new_mode then
    dropped = true
  else
    change_mode(command.new_mode, circuit.state, 'restored')
  end
end

local function remaining()
  if circuit.state == 'open' then return math.max(0, circuit.retry_at - now), 0 end
  if circuit.state ~= 'half_open' then return 0, 0 end
  local live = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now), '+inf', 'WITHSCORES')
  local free = math.max(0, policy.probes - #live / 2)
  if free > 0 then return 0, free end
  return tonumber(live[2]) - now, 0
end

load()
bound_deadlines()
if command.tally > 0 and command.tally_era == circuit.era then count(command.tally, 0) end
handlers[command.op]()
save()

local retry_after, free = remaining()
local reply = {
  created and '1' or '0', admitted and '1' or '0', probe and '1' or '0',
  dropped and '1' or '0', text(lost), circuit.state, circuit.mode, text(circuit.era),
  text(circuit.epoch), text(circuit.failures), text(circuit.successes),
  text(circuit.opens), text(circuit.failures_total), text(retry_after), text(free),
  text(circuit.since), text(circuit.mode_since), text(now), circuit.reason,
  circuit.mode_reason,
}
for _, value in ipairs(transition) do reply[#reply + 1] = value end
return table.concat(reply, SEPARATOR)
