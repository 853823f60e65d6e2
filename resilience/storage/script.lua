-- The rules of the circuit for the whole fleet: one run of this script is one decision.
-- resilience/machine.py is the same machine for one process; change both together.
--
-- KEYS  1 hash of the circuit, 2 leases of probes (token -> expiry), 3 log, 4 names
-- Times are whole milliseconds of this server's clock. Epochs are milliseconds times 1000,
-- so they are never used twice, even after the server was emptied.

local names = {
  'op', 'era', 'token', 'outcome', 'tally', 'tally_era', 'wait_ms', 'jitter', 'action',
  'new_mode', 'actor', 'reason', 'error', 'breaker', 'threshold', 'rate', 'minimum_calls',
  'bucket_ms', 'recovery_ms', 'cap_ms', 'lease_ms', 'probes', 'to_close', 'initial_mode',
  'keep_ms', 'log_length',
}
local texts = {
  op = true, token = true, outcome = true, action = true, new_mode = true, actor = true,
  reason = true, error = true, breaker = true, initial_mode = true,
}
local arg = {}
for index, name in ipairs(names) do
  arg[name] = texts[name] and ARGV[index] or tonumber(ARGV[index])
end

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

local circuit = {}
local changed, created = false, false
local admitted, probe, dropped, lost = false, false, false, 0
local transition = {}

local function text(value)
  if type(value) == 'number' then return string.format('%.0f', value) end
  return value
end

local function load()
  local stored = redis.call('HMGET', KEYS[1], unpack(fields))
  if not stored[1] then
    created, changed = true, true
    circuit = {
      state = 'closed', mode = arg.initial_mode, era = now * 1000, epoch = now * 1000,
      failures = 0, successes = 0, opens = 0, failures_total = 0, retry_at = 0,
      since = now, mode_since = now, reason = '', mode_reason = '', window = '',
    }
    redis.call('DEL', KEYS[2])
    redis.call('SADD', KEYS[4], arg.breaker)
    return
  end
  for index, name in ipairs(fields) do
    circuit[name] = words[name] and stored[index] or tonumber(stored[index])
  end
end

local function save()
  if not changed then return end
  local pairs_of = {}
  for _, name in ipairs(fields) do
    pairs_of[#pairs_of + 1] = name
    pairs_of[#pairs_of + 1] = text(circuit[name])
  end
  redis.call('HSET', KEYS[1], unpack(pairs_of))
  if circuit.state == 'closed' and circuit.mode == 'auto' then
    redis.call('PEXPIRE', KEYS[1], arg.keep_ms)
  else
    redis.call('PERSIST', KEYS[1])
  end
end

-- A clock that was set back must not lock a circuit or a probe slot.
local function bound_deadlines()
  if circuit.state == 'open' then
    local limit = now + arg.cap_ms
    if circuit.retry_at > limit then
      circuit.retry_at, changed = limit, true
    end
  elseif circuit.state == 'half_open' then
    local limit = now + arg.lease_ms
    local above = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(limit), '+inf')
    for _, token in ipairs(above) do redis.call('ZADD', KEYS[2], text(limit), token) end
  end
end

-- The window of the failure rate: "index:calls:failures;" for each bucket in use.
local function buckets()
  local found, last = {}, math.floor(now / arg.bucket_ms)
  for index, calls, failures in string.gmatch(circuit.window, '(%d+):(%d+):(%d+);') do
    index = tonumber(index)
    if index <= last and index > last - BUCKETS then
      found[index] = { tonumber(calls), tonumber(failures) }
    end
  end
  return found, last
end

local function count(calls, failures)
  if circuit.state ~= 'closed' or arg.rate <= 0 then return end
  local found, last = buckets()
  local held = found[last] or { 0, 0 }
  found[last] = { held[1] + calls, held[2] + failures }
  local parts = {}
  for index, pair in pairs(found) do
    parts[#parts + 1] = text(index) .. ':' .. text(pair[1]) .. ':' .. text(pair[2]) .. ';'
  end
  circuit.window, changed = table.concat(parts), true
end

local function trips()
  if arg.rate <= 0 then return circuit.failures >= arg.threshold end
  local calls, failures = 0, 0
  for _, pair in pairs(buckets()) do
    calls, failures = calls + pair[1], failures + pair[2]
  end
  return calls >= arg.minimum_calls and failures >= arg.rate * calls
end

local function go(state, cause, old_mode, new_era, wait)
  local old_state, failures = circuit.state, circuit.failures
  circuit.epoch = math.max(circuit.epoch + 1, now * 1000)
  changed = true
  if new_era then
    circuit.state, circuit.era, circuit.since = state, circuit.epoch, now
    circuit.reason = arg.reason ~= '' and arg.reason or cause
    circuit.successes, circuit.window = 0, ''
    redis.call('DEL', KEYS[2])
    if state == 'closed' then circuit.failures = 0 end
  end
  transition = {
    'epoch', text(circuit.epoch), 'at_ms', text(now), 'old_state', old_state,
    'new_state', circuit.state, 'old_mode', old_mode, 'new_mode', circuit.mode,
    'cause', cause, 'actor', arg.actor, 'reason', arg.reason, 'failures', text(failures),
    'wait_ms', text(wait), 'error', arg.error,
  }
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', arg.log_length, '*', unpack(transition))
end

local function open(cause)
  local wait
  if arg.wait_ms > 0 then
    wait = math.min(arg.wait_ms, arg.cap_ms)
  else
    local doublings = math.min(circuit.opens, MAX_DOUBLINGS)
    wait = math.min(arg.recovery_ms * 2 ^ doublings, arg.cap_ms)
    wait = wait - math.floor(wait * arg.jitter / 10000)
  end
  circuit.opens = circuit.opens + 1
  circuit.retry_at = now + wait
  go('open', cause, circuit.mode, true, wait)
end

local function expire_leases()
  lost = lost + redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
end

local function change_mode(mode, state, cause)
  local old_mode = circuit.mode
  circuit.mode, circuit.mode_since, circuit.mode_reason = mode, now, arg.reason
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
    if redis.call('ZCARD', KEYS[2]) < arg.probes then
      redis.call('ZADD', KEYS[2], text(now + arg.lease_ms), arg.token)
      admitted, probe = true, true
    end
  end
end

local function settle_closed()
  if arg.outcome == 'success' then
    if circuit.failures > 0 then
      circuit.failures, changed = 0, true
    end
    count(1, 0)
  elseif arg.outcome == 'failure' then
    circuit.failures = circuit.failures + 1
    count(1, 1)
    if trips() then open('failures') end
  end
end

local function settle_probe()
  expire_leases()
  if redis.call('ZREM', KEYS[2], arg.token) == 0 then
    dropped = true
  elseif arg.outcome == 'failure' then
    open('probe_failed')
  elseif arg.outcome == 'success' then
    circuit.successes, changed = circuit.successes + 1, true
    if circuit.successes >= arg.to_close then
      circuit.opens = 0
      go('closed', 'recovered', circuit.mode, true, 0)
    end
  end
end

function handlers.settle()
  if arg.outcome == 'failure' then
    circuit.failures_total, changed = circuit.failures_total + 1, true
  end
  if arg.era ~= circuit.era then
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
  if arg.action == 'reset' then
    state, circuit.opens = 'closed', 0
  end
  change_mode(MODE_AFTER[arg.action], state, arg.action)
end

function handlers.restore()
  if circuit.mode == arg.new_mode then
    dropped = true
  else
    change_mode(arg.new_mode, circuit.state, 'restored')
  end
end

local function remaining()
  if circuit.state == 'open' then return math.max(0, circuit.retry_at - now), 0 end
  if circuit.state ~= 'half_open' then return 0, 0 end
  local live = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now), '+inf', 'WITHSCORES')
  local free = math.max(0, arg.probes - #live / 2)
  if free > 0 then return 0, free end
  return tonumber(live[2]) - now, 0
end

load()
bound_deadlines()
if arg.tally > 0 and arg.tally_era == circuit.era then count(arg.tally, 0) end
handlers[arg.op]()
save()

local retry_after, free = remaining()
return {
  created and 1 or 0, admitted and 1 or 0, probe and 1 or 0, dropped and 1 or 0, lost,
  circuit.state, circuit.mode, circuit.era, circuit.epoch, circuit.failures,
  circuit.successes, circuit.opens, circuit.failures_total, retry_after, free,
  circuit.since, circuit.mode_since, now, circuit.reason, circuit.mode_reason, transition,
}
