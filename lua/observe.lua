-- SPDX-License-Identifier: Apache-2.0
-- observe: reads pass the gate here and come back as plain values, or raise inconclusive when their
-- group is asked for something that is not known.

local prelude = host.module("prelude")
local face = host.module("face")

local gate, where, branch = host.gate, host.where, host.branch

local observe = {}

local groups = host.weak()      -- group proxy -> its data
-- name -> rows of the newest entries of groups under it, EVIDENCE_MAX at most, as a ring: the next one goes to `at`
local named = {}
-- What one row says of evidence: a run that looks for weeks remembers its newest looks.
local EVIDENCE_MAX <const> = 100
-- Of each branch:
--   consulted   since the last mark: the evidence of hypotheses and intents; name, row and line of one look behind those
--               of the one before, false where there is none: a table for each would cost more than the rest of a look
--   window      the longest of the reads made while somebody verifies, in seconds; nil = nobody does
--   not_before  older samples do not count (Unix ms); set while a remedy is verified
local looks = {}

local PARTS <const> = 3

local function nothing() return { n = 0 } end

local function cut(consulted, n)
  if consulted.n <= n then return end
  for i = consulted.n, n + 1, -1 do consulted[i] = nil end
  consulted.n = n
end

local function add(consulted, name, row, line)
  local n = consulted.n
  if n >= 2 * EVIDENCE_MAX * PARTS then     -- only now and then, so that adding costs the same however much there is
    table.move(consulted, n - EVIDENCE_MAX * PARTS + 1, n, 1)
    cut(consulted, EVIDENCE_MAX * PARTS)
    n = EVIDENCE_MAX * PARTS
  end
  consulted[n + 1], consulted[n + 2], consulted[n + 3] = name, row or false, line or false
  consulted.n = n + PARTS
end

local function add_all(consulted, more)
  for i = 1, more.n, PARTS do add(consulted, more[i], more[i + 1], more[i + 2]) end
end

local function mine()
  local id = branch()
  local look = looks[id]
  if not look then
    look = { consulted = nothing() }
    looks[id] = look
  end
  return look
end

--- fn as a branch that looks as the calling one does: what it may see is as old, and what it consulted is the
-- caller's when it has returned.
function observe.branch(fn)
  local parent = mine()
  return function()
    local id = branch()
    local look = { consulted = nothing(), window = parent.window, not_before = parent.not_before }
    looks[id] = look
    fn()
    looks[id] = nil
    add_all(parent.consulted, look.consulted)
    if parent.window then parent.window = math.max(parent.window, look.window) end
  end
end

--- Takes what was consulted since the last call; observe.keep brings it back.
function observe.set_aside()
  local look = mine()
  local consulted = look.consulted
  look.consulted = nothing()
  return consulted
end

--- What was consulted, as a list for a row.
function observe.listed(consulted)
  local list = {}
  for i = 1, consulted.n, PARTS do
    list[#list + 1] = { name = consulted[i], row = consulted[i + 1] or nil, line = consulted[i + 2] or nil }
  end
  return host.array(list)
end

--- Puts it back in front: what a caller consulted still counts for what follows.
function observe.keep(consulted)
  local look = mine()
  add_all(consulted, look.consulted)
  look.consulted = consulted
end

--- Runs fn with samples before `since_ms` counted as stale and returns what prelude.look says, with
-- the longest window of the reads it made.
function observe.verifying(since_ms, fn)
  local look = mine()
  local outer_window, outer_since = look.window, look.not_before
  look.window, look.not_before = 0, since_ms
  local ok, verdict, detail = host.pcall(prelude.look, fn)
  local longest = look.window
  look.window, look.not_before = outer_window and math.max(outer_window, longest), outer_since
  if not ok then host.error(verdict) end
  return verdict, detail, longest
end

-- What an answer says: its value, or that it is unknown, and why.
local function judged(look, read, o, name)
  local value, unknown, why = o.value, o.unknown, o.why
  if read.absent ~= nil and unknown == "no_data" then value, unknown = read.absent, nil end
  if unknown then return nil, unknown, why end
  if look.not_before and o.at and o.at < look.not_before then
    return nil, "stale", "its sample is older than the change"
  end
  if read.record and type(value) == "table" then value = host.module("face_record").strict(value, read, name) end
  return value, nil, why
end

local function consult(entry)
  local _, line = where()
  add(mine().consulted, entry.name, entry.row, line)
end

local function access(entry)
  consult(entry)
  if entry.unknown then prelude.inconclusive(entry.name, entry.unknown, entry.why) end
  return entry.value
end

local function has_list(entries)
  local list = {}
  for name in pairs(entries) do list[#list + 1] = name end
  return list
end

local group_meta = {
  __index = function(group, key)
    local entries = groups[group]
    local entry = entries[key]
    if not entry then
      local near = type(key) == "string" and host.nearest(key, has_list(entries))
      host.fail(string.format("nothing observed under the name '%s'%s", tostring(key),
        near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(has_list(entries), ", ") .. ")"))
    end
    return access(entry)
  end,
  __newindex = function() host.fail("what was observed is read-only") end,
}

local function widen(look, window)
  if look.window then look.window = math.max(look.window, window) end
end

local function as_call(read, label)
  return { label = label, name = read.name, instance = read.instance, args = read.request }
end

local function observe_one(read)
  local look, calls = mine(), read.calls
  if not calls then
    calls = { as_call(read) }
    read.calls = calls
  end
  if read.window then widen(look, read.window) end
  local answer = gate("read", calls)[1]
  local name = read.request.called or read.text
  if answer.later then return access(answer.later(read, name)) end      -- all paths: it forks when it is looked at
  local value, unknown, why = judged(look, read, answer.o, name)
  local _, line = where()
  add(look.consulted, name, answer.row, line)
  if unknown then prelude.inconclusive(name, unknown, why) end
  return value
end

local function settle(look, read, answer, name)
  if answer.later then return answer.later(read, name) end
  local value, unknown, why = judged(look, read, answer.o, name)
  return { name = name, row = answer.row, value = value, unknown = unknown, why = why, unit = read.unit }
end

local function remember(entry)
  local ring = named[entry.name] or { at = 1 }
  ring[ring.at], ring.at = entry.row, ring.at % EVIDENCE_MAX + 1
  named[entry.name] = ring
end

local function observe_group(reads)
  local list, calls, look = {}, {}, mine()
  for name, value in pairs(reads) do
    if type(name) ~= "string" or not string.match(name, "^[%a_][%w_]*$") then
      host.fail("observe: give every read a name: observe { p95 = ..., ... }")
    end
    local read = face.read_of(value)
    if not read then host.fail(string.format("observe: '%s' is %s, not a read", name, face.describe(value))) end
    face.call(read, name)
    list[#list + 1] = { name = name, read = read }
    if read.window then widen(look, read.window) end
    calls[#calls + 1] = as_call(read, name)
  end
  if #calls == 0 then host.fail("observe: an empty list of reads") end
  local answers = gate("read", calls)
  local entries, group = {}, host.proxy(group_meta)
  for i = 1, #list do
    local name = list[i].name
    entries[name] = settle(look, list[i].read, answers[i], name)
    remember(entries[name])
  end
  groups[group] = entries
  return group
end

--- observe(read): the value, or inconclusive. observe{name = read, ...}: a group whose fields are values.
function observe.observe(what)
  local read = face.read_of(what)
  if read then return observe_one(read) end
  if type(what) ~= "table" or face.is_value(what) then
    host.fail("observe wants a read or a table of reads, got " .. face.describe(what))
  end
  return observe_group(what)
end

local function entry_of(group, name, verb)
  local entries = groups[group]
  if not entries then host.fail(verb .. " wants what observe{...} returned, got " .. face.describe(group)) end
  local entry = entries[name]
  if not entry then host.fail(string.format("%s: nothing observed under the name '%s'", verb, tostring(name))) end
  return entry
end

--- known(group, name): true if it has a value. Asking counts as evidence.
function observe.known(group, name)
  local entry = entry_of(group, name, "known")
  consult(entry)
  return entry.unknown == nil
end

--- The entry of a group for text.of: {value, unit, unknown}.
function observe.entry(group, name) return entry_of(group, name, "text.of") end

--- The entries of what observe{...} returned, or nil.
function observe.group(v) return groups[v] end

--- For all paths: as if nothing had been observed.
function observe.forget() groups, looks, named = host.weak(), {}, {} end

--- For all paths: keeps what the branch has looked at, and gives what brings it back.
function observe.keeper()
  local look = mine()
  local consulted, window, not_before = look.consulted, look.window, look.not_before
  local n = consulted.n
  return function()
    cut(consulted, n)
    look.consulted, look.window, look.not_before = consulted, window, not_before
  end
end

--- For all paths: gives what has the branch look at what it looks at now.
function observe.looked()
  local window, not_before = mine().window, mine().not_before
  return function()
    local look = mine()
    look.window, look.not_before = window, not_before
  end
end

local function is_in(consulted, name, row)
  for i = 1, consulted.n, PARTS do
    if consulted[i + 1] == row and consulted[i] == name then return true end
  end
  return false
end

--- Adds the newest rows by the wanted names that groups of this run used, for `evidence = {...}` of hypotheses.
function observe.add_named(consulted, wanted)
  local found = {}
  for name in host.rawpairs(wanted) do
    for _, row in ipairs(named[name] or {}) do found[#found + 1] = { name = name, row = row } end
  end
  prelude.sort(found, function(a, b) return a.row < b.row or (a.row == b.row and a.name < b.name) end)
  for _, entry in ipairs(found) do
    if not is_in(consulted, entry.name, entry.row) then add(consulted, entry.name, entry.row) end
  end
end

return observe
