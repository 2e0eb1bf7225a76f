-- SPDX-License-Identifier: Apache-2.0
-- What a path knows, as texts that are equal where the rest of the program does the same: the values of locals, what the
-- language keeps, and one by one what is known of symbols. Symbols are called by their texts, and by their order where
-- several have one text. What has no such text (nil is given) is equal to nothing.

local fork = host.module("fork")
local undo = host.module("undo")
local symbols = host.module("symbols")
local shape = host.module("symbols_shape")
local gate = host.module("explore_gate")
local observe = host.module("observe")
local diagnose = host.module("diagnose")
local ending = host.module("ending")
local approve = host.module("approve")
local face = host.module("face")

local state = {}

local watched, kept             -- { give, set } of variables that functions of the program change, and of others to be taken back
local functions                 -- function of the program -> where it comes from
local parts, n, seen, count, complete
local met                       -- numbers of the symbols in it, or nil

local function put(text)
  n = n + 1
  parts[n] = text
end

local function begin() parts, n, seen, count, complete = {}, 0, {}, 0, true end

local function finish() return complete and table.concat(parts, "\1", 1, n) or nil end

local put_value

local function put_roots(roots)
  local names, k = {}, 0
  for id in host.rawpairs(roots) do
    k = k + 1
    names[k] = fork.who(id)
  end
  table.sort(names)
  put("<" .. table.concat(names, "\2") .. ">")
end

local function put_symbol(data)
  if met then met[#met + 1] = data.var.id end
  put(data.kind .. " " .. data.text .. " " .. fork.who(data.var.id))
  if data.kind == "number" then put(tostring(data.a) .. " " .. tostring(data.b) .. (data.unit or "")) end
end

local function put_fields(t)
  for key, v in pairs(t) do
    if type(key) == "table" or type(key) == "function" then complete = false end
    put(tostring(key) .. "=")
    put_value(v)
  end
end

local function put_entry(entry)
  put(entry.id and fork.who(entry.id) or "?")
  if not entry.id then complete = false end
end

local function put_group(entries)
  put("group")
  for name, entry in pairs(entries) do
    put(name)
    put_entry(entry)
  end
end

local function put_made(v, made)
  put(made.count and "list " .. made.count or "record")
  put(made.text)
  put_roots(made.roots)
  if made.length then put_value(made.length) end
  for i = 1, made.count and rawlen(v) or 0 do put_value(rawget(v, i)) end
  if made.values and next(made.roots) == nil then put_fields(made.values) end
end

local function put_hypothesis(h)
  put("hypothesis " .. h.title .. " " .. h.priority)
  put_fields(h.wanted)
  put_value(h.test)
end

local function put_table(v)
  if seen[v] then return put("#" .. seen[v]) end
  count = count + 1
  seen[v] = count
  local made, entries, h = shape.of(v), observe.group(v), diagnose.of(v)
  if made then return put_made(v, made) end
  if entries then return put_group(entries) end
  if h then return put_hypothesis(h) end
  if v == diagnose.public.NONE then return put("NONE") end
  if face.is_value(v) then
    local place, read = gate.number_of(v), face.read_of(v)
    complete = complete and place ~= nil
    return put("face " .. tostring(place) .. (read and read.request.called or ""))
  end
  if getmetatable(v) ~= nil and not host.is_array(v) then
    complete = false
    return nil
  end
  put("{")
  put_fields(v)
  put("}")
end

function put_value(v)
  local kind = type(v)
  local data = v ~= nil and symbols.of(v)
  if data then
    put_symbol(data)
  elseif kind == "table" then
    put_table(v)
  elseif kind == "function" then
    complete = complete and functions[v] ~= nil
    put("f" .. tostring(functions[v]))
  elseif kind == "number" then
    put(math.type(v) .. string.format("%.17g", v))
  else
    put(kind .. " " .. tostring(v))
  end
end

--- A function of the program, and where it comes from.
function state.name_function(place, f)
  undo.set(functions, f, place)
  return f
end

-- Of gate.path(): what says nothing of what comes, or is in another field.
local no_matter = { reads = true, events = true, calls = true, effects = true, branches = true, changed = true, cause = true,
  firing = true }

local function put_effects(effects)
  for _, effect in ipairs(effects) do
    put("effect")
    for key, v in pairs(effect) do
      if key ~= "path" then
        put(key)
        put_value(v)
      end
    end
  end
end

--- What the rest of the program depends on at a place, but for what is known of symbols; nil if it cannot be said.
function state.key(place, ...)
  if not (ending.is_plain() and approve.is_plain()) then return nil end
  local path = gate.path()
  begin()
  put(tostring(place))
  for i = 1, select("#", ...) do put_value((select(i, ...))) end
  put("path")
  for key, v in pairs(path) do
    if not no_matter[key] then
      put(key)
      put_value(v)
    end
  end
  put_effects(path.effects)
  put_fields(ending.state)
  return finish()
end

local function put_words(set)
  local words = {}
  for key in host.rawpairs(set) do words[#words + 1] = (math.type(key) or "text") .. tostring(key) end
  table.sort(words)
  put(table.concat(words, "\2"))
end

local function put_variable(var)
  put(string.format("%s %s %.17g %.17g", var.kind, tostring(var.integer), var.lo, var.hi))
  put(tostring(var.lo_open) .. tostring(var.hi_open))
  put_value(var.is)
  put_words(var.ne or {})
  put_fields(var.facts or {})
  for _, word in ipairs(var.words or {}) do put(word) end
  if var.stands_for ~= nil then put_value(var.stands_for) end
  for _, asked in ipairs(var.asked or {}) do put(asked.how .. asked.part .. tostring(asked.answer)) end
  put_words(var.derived or {})
end

local function put_entry_state(entry)
  put(tostring(entry.decided) .. tostring(entry.choice) .. (entry.label or "") .. entry.applied .. "." .. entry.waited)
  if entry.decided then put_value(entry.v) end
end

local VERSIONS_MAX = 8          -- of which it is remembered what was said

-- What is said of a variable or an answer changes with its version, and with the lengths that lists of the answer have got.
local function version_of(object)
  local version = object.version or 0
  return object.kind and version or version << 32 | (shape.lengths.version or 0)
end

local function remember(object, text)
  local said = object.said
  if not said or said.n == VERSIONS_MAX then
    said = { n = 0 }
    object.said = said
  end
  said[version_of(object)], said.n = text, said.n + 1
end

--- What is known of a symbol, an answer, or labels; of the nth field of a record; nil if it cannot be said.
function state.of(object, n_field)
  local is_record = object.values ~= nil
  local said = not is_record and object.said
  if said and said[version_of(object)] then return said[version_of(object)] end
  begin()
  if n_field then
    put_value(object.values[object.names[n_field]])
  elseif is_record then
    put_fields(object.values)
  elseif object.kind then
    put_variable(object)
  else
    put_entry_state(object)
  end
  local text = finish()
  if text and not is_record then remember(object, text) end
  return text
end

function state.watch(give, set) watched[#watched + 1] = { give = give, set = set } end

--- Variables that are taken back with the rest.
function state.keep(give, set) kept[#kept + 1] = { give = give, set = set } end

local function keeper(list)
  local values, last = {}, #list
  for i = 1, last do values[i] = table.pack(list[i].give()) end
  return function()
    for i = #list, last + 1, -1 do list[i] = nil end
    for i = 1, last do list[i].set(table.unpack(values[i], 1, values[i].n)) end
  end
end
local function keep_watched() return keeper(watched) end
local function keep_kept() return keeper(kept) end
undo.keep(keep_watched, keep_watched)
undo.keep(keep_kept, keep_kept)

--- The variables that functions of the program change, and the numbers of the symbols in them and of those that every now() at
-- this time gives; nil if it cannot be said.
function state.watched()
  begin()
  local ids = {}
  met = ids
  for i = 1, #watched do
    local values = table.pack(watched[i].give())
    for k = 1, values.n do put_value(values[k]) end
  end
  met = nil
  for _, v in host.rawpairs(gate.path()) do
    local data = symbols.of(v)
    if data then ids[#ids + 1] = data.var.id end
  end
  return finish(), ids
end

function state.begin()
  functions, watched, kept = {}, {}, {}
  state.undecided = state.undecided or state.of({ values = {}, names = { "" } }, 1)   -- a field that nobody has looked at
end

return state
