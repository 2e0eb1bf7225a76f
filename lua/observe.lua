-- SPDX-License-Identifier: Apache-2.0
-- observe: reads pass the gate here and come back as plain values, or raise inconclusive when their
-- group is asked for something that is not known.

local prelude = host.module("prelude")
local face = host.module("face")

local observe = {}

local groups = host.weak()      -- group proxy -> its data
-- name -> rows of the newest entries of groups under it, EVIDENCE_MAX at most, as a ring: the next one goes to `at`
local named = {}
-- What one row says of evidence: a run that looks for weeks remembers its newest looks.
local EVIDENCE_MAX = 100
-- Of each branch:
--   consulted   since the last mark: the evidence of hypotheses and intents
--   window      the longest of the reads made while somebody verifies, in seconds; nil = nobody does
--   not_before  older samples do not count (Unix ms); set while a remedy is verified
local looks = {}

-- Only now and then, so that adding costs the same however much there is.
local function add(consulted, entry)
  local n = #consulted
  if n >= 2 * EVIDENCE_MAX then
    table.move(consulted, n - EVIDENCE_MAX + 1, n, 1)
    for i = n, EVIDENCE_MAX + 1, -1 do consulted[i] = nil end
    n = EVIDENCE_MAX
  end
  consulted[n + 1] = entry
end

local function mine()
  local branch = host.branch()
  if not looks[branch] then looks[branch] = { consulted = {} } end
  return looks[branch]
end

--- fn as a branch that looks as the calling one does: what it may see is as old, and what it consulted is the
-- caller's when it has returned.
function observe.branch(fn)
  local parent = mine()
  return function()
    local branch = host.branch()
    local look = { consulted = {}, window = parent.window, not_before = parent.not_before }
    looks[branch] = look
    fn()
    looks[branch] = nil
    for _, entry in ipairs(look.consulted) do add(parent.consulted, entry) end
    if parent.window then parent.window = math.max(parent.window, look.window) end
  end
end

local function consult(entry, line)
  add(mine().consulted, { name = entry.name, row = entry.row, line = line })
end

--- Takes what was consulted since the last call, as a list for a row.
function observe.evidence()
  local look = mine()
  local taken = look.consulted
  look.consulted = {}
  return host.array(taken)
end

--- Puts evidence back in front: what a caller consulted still counts for what follows.
function observe.keep(evidence)
  local look = mine()
  for i = 1, #look.consulted do add(evidence, look.consulted[i]) end
  look.consulted = evidence
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

local function settle(read, answer, name)
  if answer.later then return answer.later(read, name) end      -- all paths: it forks when it is looked at
  local o = answer.o
  local entry = { name = name, row = answer.row, value = o.value, unknown = o.unknown, why = o.why, unit = read.unit,
    at = o.at }
  if read.absent ~= nil and entry.unknown == "no_data" then entry.value, entry.unknown = read.absent, nil end
  local not_before = mine().not_before
  if not entry.unknown and not_before and o.at and o.at < not_before then
    entry.unknown, entry.why = "stale", "its sample is older than the change"
  end
  if not entry.unknown and type(entry.value) == "table" then
    entry.value = face.strict(entry.value, read, name)
  end
  return entry
end

local function access(entry)
  local _, line = host.where()
  consult(entry, line)
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

local function as_call(read, label)
  local look = mine()
  if read.window and look.window then look.window = math.max(look.window, read.window) end
  return { label = label, name = read.name, instance = read.instance, args = read.request }
end

local function observe_one(read)
  local answers = host.gate("read", { as_call(read) })
  return access(settle(read, answers[1], read.request.called or read.text))
end

local function remember(entry)
  local ring = named[entry.name] or { at = 1 }
  ring[ring.at], ring.at = entry.row, ring.at % EVIDENCE_MAX + 1
  named[entry.name] = ring
end

local function observe_group(reads)
  local list, calls = {}, {}
  for name, value in pairs(reads) do
    if type(name) ~= "string" or not string.match(name, "^[%a_][%w_]*$") then
      host.fail("observe: give every read a name: observe { p95 = ..., ... }")
    end
    local read = face.read_of(value)
    if not read then host.fail(string.format("observe: '%s' is %s, not a read", name, face.describe(value))) end
    face.call(read, name)
    list[#list + 1] = { name = name, read = read }
    calls[#calls + 1] = as_call(read, name)
  end
  if #calls == 0 then host.fail("observe: an empty list of reads") end
  local answers = host.gate("read", calls)
  local entries, group = {}, host.proxy(group_meta)
  for i = 1, #list do
    local name = list[i].name
    entries[name] = settle(list[i].read, answers[i], name)
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
  local _, line = host.where()
  consult(entry, line)
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
  local n = #consulted
  return function()
    for i = #consulted, n + 1, -1 do consulted[i] = nil end
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

--- The newest rows by the names that groups of this run used, for `evidence = {...}` of hypotheses.
function observe.rows_named(wanted)
  local found = {}
  for name in host.rawpairs(wanted) do
    for _, row in ipairs(named[name] or {}) do found[#found + 1] = { name = name, row = row } end
  end
  prelude.sort(found, function(a, b) return a.row < b.row or (a.row == b.row and a.name < b.name) end)
  return found
end

return observe
