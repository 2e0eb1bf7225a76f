-- SPDX-License-Identifier: Apache-2.0
-- The scenario of one path, in the form of scenario files: what it would have to see, what becomes of its effects, who says
-- what, so that a run goes this way. What the file's scenarios share is kept where the path allows it and then not repeated.
-- A value that changes while nothing is done changes either from one look to the next (then), or at a time (at) soon after the
-- look before or right before the next: which of them is right depends on how often the run looks, so all are offered.

local gate = host.module("explore_gate")
local symbols = host.module("symbols")
local shape = host.module("symbols_shape")
local values = host.module("witness_values")

local witness = {}

local AFTER_A_LOOK_S = 1
local ELEMENTS_MAX = 1000
local TWICE_MAX = 3             -- reads of which either is tried

local shared                    -- given, params of the file
local started_s
local roots, infos, fixed       -- for lua/witness_values.lua
local seen                      -- variable -> true
local placeholders              -- { text, value }, the longest first

local unknown = { no_data = true, error = true, stale = true, ambiguous = true }

-- A value of the file, if it is one answer.
local function plain_hint(v)
  if type(v) == "table" and (type(v["then"]) == "table" or type(v.at) == "table") then return nil end
  if unknown[v] then return nil end
  return v
end

local function last_name(text)
  local name, place = string.match(text, "([%w_]+)[^%w_]*$"), string.match(text, "%[(%d+)%]")
  return (name or "text") .. (place and "-" .. place or "")
end

-- Variables

local function add_variable(var, hint, schema, earlier, together)
  if seen[var] then return end
  seen[var] = true
  if var.expr then return end
  roots[#roots + 1] = var
  infos[var] = { hint = hint, schema = schema, name = last_name(var.text), earlier = earlier }
  if earlier and together then
    local info = infos[earlier]
    info.followers = info.followers or {}
    info.followers[#info.followers + 1] = var
  end
end

local function part(v, key)
  if type(v) == "table" then return rawget(v, key) end
end

-- Finds the variables in v. before: what was answered to the same question before, `together` with nothing done since.
local function walk(v, hint, schema, before, together)
  local data, made = v ~= nil and symbols.of(v), type(v) == "table" and shape.of(v)
  if data then
    local earlier = before ~= nil and symbols.of(before)
    add_variable(data.var, hint, schema, earlier and not earlier.var.expr and earlier.var or nil, together)
    for key, field in pairs(data.fields or {}) do walk(field, part(hint, key)) end
  elseif made and made.values then
    local other = type(before) == "table" and shape.of(before) or {}
    for key, field in pairs(made.values) do
      if field ~= shape.NIL then
        walk(field, part(hint, key), made.fields and made.fields[key] or "string", (other.values or {})[key], together)
      end
    end
  elseif made then
    if made.length then walk(made.length) end
    for i = 1, rawlen(v) do walk(rawget(v, i), part(hint, i) or part(hint, 1), made.schema) end
  end
end

-- Values

local function copy(v)
  if type(v) ~= "table" then return v end
  local out = {}
  for key, x in pairs(v) do out[key] = copy(x) end
  return host.is_array(v) and host.array(out) or out
end

local concrete

-- Something that a read may answer, where nobody looks.
local function sample(schema, name)
  if type(schema) == "table" then return schema.list and host.array {} or {} end
  local kind, op, bound = string.match(schema or "number", "^(%a+)%??%s*([<>]?=?)%s*(%-?[%d.]*)$")
  if kind == "string" then return last_name(name) end
  if kind == "boolean" then return false end
  if kind == "labels" or kind == "map" then return {} end
  if kind == "list" then return host.array {} end
  if not kind then return string.match(schema, "[%w_-]+") end
  local n = tonumber(bound) or 1
  return op == ">" and n + 1 or op == "<" and n - 1 or n
end

-- All fields of an element: others than the code may look at them, to sort.
local function complete(out, made)
  for key, schema in pairs(made.fields or {}) do
    local is_away = made.values[key] == shape.NIL or made.lacks and made.lacks[key]
    if out[key] == nil and not is_away then out[key] = sample(schema, made.text .. "." .. key) end
  end
end

local function concrete_record(made, base)
  local out = type(base) == "table" and not host.is_array(base) and copy(base) or {}
  for key, field in pairs(made.values) do
    if field == shape.NIL then out[key] = nil else out[key] = concrete(field, out[key]) end
  end
  for key in pairs(made.lacks or {}) do
    if made.values[key] == nil then out[key] = nil end
  end
  return out
end

local function concrete_list(v, made, base)
  local out, count = {}, made.count
  if made.length then count = math.min(values.of(made.length), ELEMENTS_MAX) end
  for i = 1, count do
    local element = i <= rawlen(v) and i or rawlen(v)
    out[i] = concrete(rawget(v, element), part(base, element))
    local of = type(rawget(v, element)) == "table" and shape.of(rawget(v, element))
    if of and of.values then complete(out[i], of) end
  end
  return host.array(out)
end

-- The value as JSON has it. base: what is not asked for stays as it is there.
function concrete(v, base)
  local data, made = v ~= nil and symbols.of(v), type(v) == "table" and shape.of(v)
  if data and data.fields and next(data.fields) then
    local out = type(base) == "table" and copy(base) or {}
    for key, field in pairs(data.fields) do out[key] = concrete(field) end
    return out
  end
  if data then return values.of(v) end
  if made then return made.values and concrete_record(made, base) or concrete_list(v, made, base) end
  return copy(v)
end

local function answer_of(entry, base)
  if not entry.decided then return base ~= nil and base or sample(entry.read.returns, entry.name) end
  if entry.u then return entry.read.absent ~= nil and "error" or "no_data" end
  if entry.choice == 2 and entry.read.absent ~= nil then return "no_data" end
  return concrete(entry.v, base)
end

-- What stands for a value in a text, and the value.
local function add_placeholder(list, var)
  local v = values.of_variable(var)
  if type(v) ~= "string" and type(v) ~= "number" then return end
  list[#list + 1] = { "<" .. var.text .. ">", tostring(v) }
  list[#list + 1] = { gate.as_segment(var.text), tostring(v) }
  if var.stands_for and #var.stands_for > 1 then list[#list + 1] = { var.stands_for, tostring(v) } end
end

local function replaced(text, from, to)
  local at, last = string.find(text, from, 1, true)
  if not at or from == to then return text end
  return string.sub(text, 1, at - 1) .. to .. replaced(string.sub(text, last + 1), from, to)
end

-- A name of the path as a run has it.
local function named(text)
  for _, x in ipairs(placeholders) do text = replaced(text, x[1], x[2]) end
  return text
end

local function same(a, b) return a ~= nil and b ~= nil and host.encode({ a }) == host.encode({ b }) end

-- What is given

-- The answers to one question, in order: { v, waited, applied }.
local function answers_to(entries, hint)
  local list, base = {}, plain_hint(hint)
  for _, entry in ipairs(entries) do
    local v = answer_of(entry, base)
    list[#list + 1] = { v = v, waited = entry.waited, applied = entry.applied }
    if not unknown[v] then base = v end
  end
  return list
end

local function by_look(list)
  local all, n = {}, #list
  while n > 1 and same(list[n].v, list[n - 1].v) do n = n - 1 end
  for i = 1, n do all[i] = list[i].v end
  return n > 1 and { ["then"] = host.array(all) } or all[1]
end

-- late: right before the look that sees the change, else soon after the one before. Where no time passes, it is by look.
local function by_time(list, late)
  local at, last, changes = {}, nil, 0
  for i, a in ipairs(list) do
    if i == 1 or not same(a.v, list[i - 1].v) then
      local s = i > 1 and (late and a.waited // 1000 or list[i - 1].waited // 1000 + AFTER_A_LOOK_S) or 0
      if i > 1 and (s * 1000 > a.waited or s * 1000 <= list[i - 1].waited) then return by_look(list) end
      at[string.format("%ds", s)], last, changes = a.v, a.v, changes + 1
    end
  end
  return changes > 1 and { at = at } or last
end

local function by_late_time(list) return by_time(list, true) end

-- Puts the answers to one question where they belong. Returns why they cannot be said, or nil.
local function place(name, list, names, style, out)
  local from, now = 1, shared.given[name]
  while from <= #list do
    local to = from
    while to < #list and list[to + 1].applied == list[from].applied do to = to + 1 end
    local v = style(table.move(list, from, to, 1, {}))
    if not same(v, now) then
      local effect = names[list[from].applied]
      local into = out.given
      -- What nobody asked before it was applied, may have been so before.
      if effect and from > 1 then
        out.after[effect] = out.after[effect] or {}
        into = out.after[effect]
      end
      if into[name] ~= nil then return name .. " changes twice behind the same effect" end
      into[name], now = v, v
    end
    from = to + 1
  end
end

-- Reads that are looked at with a name and without one.
local function looked_at_twice(path)
  local with, list = {}, {}
  for _, entry in ipairs(path.reads) do
    if entry.label then
      with[entry.read.text] = true
    elseif with[entry.read.text] then
      with[entry.read.text], list[#list + 1] = nil, entry.read.text
    end
  end
  return list
end

-- by_text: the reads that are called by their text where they are looked at without a name. A read that is made again is called
-- by its name in a group only if it is the same value, which a path does not tell from one that is equal.
local function by_question(path, by_text)
  local order, questions = {}, {}
  for _, entry in ipairs(path.reads) do
    local name = named(not entry.label and by_text[entry.read.text] and entry.read.text or entry.name)
    local list = questions[name]
    if not list then
      list = {}
      questions[name], order[#order + 1] = list, name
    end
    list[#list + 1] = entry
  end
  return order, questions
end

-- Choice k of 2^n: none of the list, all, then the others.
local function chosen(list, k)
  local set = {}
  if k == 1 then k = 2 ^ #list - 1 | 0 elseif k > 1 then k = k - 1 end
  for i, v in ipairs(list) do set[v] = k >> (i - 1) & 1 == 1 end
  return set
end

-- { given, after } for each of the ways in which values can change and reads be called; why there is none.
local function variants(path, names)
  local list, seen_before, why = {}, {}, nil
  local twice = looked_at_twice(path)
  for k = 0, 2 ^ math.min(#twice, TWICE_MAX) - 1 do
    local order, questions = by_question(path, chosen(twice, k | 0))
    for _, style in ipairs { by_look, by_time, by_late_time } do
      local out, wrong = { given = {}, after = {} }, nil
      for _, name in ipairs(order) do
        wrong = wrong or place(name, answers_to(questions[name], shared.given[name]), names, style, out)
      end
      local key = host.encode(out)
      if not wrong and not seen_before[key] then list[#list + 1] = out end
      seen_before[key], why = true, why or wrong
    end
  end
  return list, why
end

-- What happens

-- What the state of a target may be, as its effect declares it. Of a list the wanted one is taken: there must be one.
local function found_state(finds)
  local out = {}
  for name, schema in pairs(finds) do
    if type(schema) == "table" then out[name] = host.array { sample(schema.list, "another") }
    elseif not string.find(schema, "?", 1, true) then out[name] = sample(schema, name) end
  end
  return out
end

local words = { applied = "applied", moved = 409, refused = "halted", unknown = "timeout" }

-- { then = [a, b, b] } is what it is without the last b: the last one stays.
local function shortest(list)
  local n = #list
  while n > 1 and list[n] == list[n - 1] do n = n - 1 end
  if n == 1 then return list[1] end
  return { ["then"] = host.array(table.move(list, 1, n, 1, {})) }
end

local function person(rule, k) return type(rule) == "table" and rule[(k - 1) % #rule + 1] or "person-" .. k end

local function says(event)
  if event.answer == nil then return "nobody" end
  local n = event.answer == "yes" and event.of or 1
  local list = {}
  for k = 1, n do list[k] = { say = event.answer, by = person(event.by, k) } end
  return n == 1 and list[1] or host.array(list)
end

-- The events of the path, for a scenario. Returns why they cannot be said, or nil.
local function happen(path, out)
  local fates, names, sent = {}, {}, {}
  for _, e in ipairs(path.events) do
    if e.state or e.undo then
      local how, before = e.state or "before", out.states[named(e.target)]
      if not before or (before.how == "other" and how ~= "other") then
        out.states[named(e.target)] = { how = how, finds = e.finds and found_state(e.finds) or nil }
      end
    end
    if e.effect then
      fates[e.effect] = fates[e.effect] or {}
      table.insert(fates[e.effect], words[e.outcome])
      if e.outcome ~= "refused" then sent[#sent + 1] = (e.undo and "undo " or "") .. e.effect end
      if e.outcome == "applied" and not e.undo then names[#names + 1] = e.effect end
    end
    if e.ask then
      local v = says(e)
      local title = named(e.ask)
      if out.people[title] ~= nil and not same(out.people[title], v) then
        return string.format("a scenario cannot answer \"%s\" in two ways", title)
      end
      out.people[title] = v
    end
  end
  for name, list in pairs(fates) do
    local v = shortest(list)
    if v ~= "applied" then out.effects[name] = v end
  end
  return nil, names, host.array(sent)
end

-- What is ambient

-- The variables that are the keys of a table.
local function in_order(set)
  local list = {}
  for var in host.rawpairs(set) do list[#list + 1] = var end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

local function walk_ambient(path)
  local ambient = path.ambient or {}
  for key, v in pairs(path) do
    local data = type(key) == "string" and string.find(key, "^now") and type(v) == "table" and symbols.of(v)
    if data then fixed[data.var] = started_s + (data.var.waited or 0) end
  end
  if ambient.requester then fixed[symbols.of(ambient.requester).var] = "test" end
  if ambient.started then fixed[symbols.of(ambient.started).var] = started_s end
  for _, var in ipairs(in_order(fixed)) do add_variable(var) end
  if ambient.labels then walk(ambient.labels) end
  for name, p in pairs(path.params or {}) do walk(p.value, shared.params[name]) end
end

local function ambient_of(path, out)
  local ambient = path.ambient or {}
  if ambient.kind then out.trigger.kind = ambient.kind == "cli" and "command line" or ambient.kind end
  if ambient.labels then out.trigger.labels = concrete(ambient.labels) end
  if path.firing then out.trigger.firing = shortest(path.firing) end
  for name, p in pairs(path.params or {}) do
    local v = concrete(p.value)
    if v == nil and shared.params[name] ~= nil then return "a scenario cannot take params." .. name .. " away" end
    if v ~= nil and not same(v, shared.params[name]) then out.params[name] = v end
  end
end

local function find_values(path)
  local latest, derived = {}, {}
  roots, infos, fixed, seen = {}, {}, {}, {}
  walk_ambient(path)
  for _, data in host.rawpairs(symbols.derived()) do derived[data.var] = true end
  for _, entry in ipairs(path.reads) do
    local before = latest[entry.name]
    if entry.decided and not entry.u then
      walk(entry.v, plain_hint(shared.given[entry.name]), entry.read.returns, before and before.v,
        before and before.applied == entry.applied)
      latest[entry.name] = entry
    end
  end
  derived = in_order(derived)
  local wrong = values.solve(roots, derived, infos, fixed)
  placeholders = {}
  for _, var in ipairs(roots) do add_placeholder(placeholders, var) end
  for _, var in ipairs(derived) do add_placeholder(placeholders, var) end
  table.sort(placeholders, function(a, b) return #a[1] > #b[1] end)
  return wrong
end

--- What the file gives all its scenarios, { given, params }, and when a run starts there (Unix seconds).
function witness.begin(file, started)
  shared, started_s = file, started
end

--- Of the path that has ended: { variants = { { given, after } }, effects, people, trigger, params, states, sent }, or nil and
-- why there is none.
function witness.of_path()
  local path = gate.path()
  local out = { effects = {}, people = {}, trigger = {}, params = {}, states = {} }
  local text = find_values(path)
  local why, names, sent = happen(path, out)
  if why then return nil, why end
  if text then return nil, "no value was found for " .. text end
  why = ambient_of(path, out)
  if why then return nil, why end
  out.variants, why = variants(path, names)
  if #out.variants == 0 then return nil, why end
  out.variants, out.sent = host.array(out.variants), sent
  return out
end

return witness
