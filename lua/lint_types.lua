-- SPDX-License-Identifier: Apache-2.0
-- What lint knows of a value without running anything: which plugin, thing, read, group or record it is. It follows
-- locals that are set once; of everything else it knows nothing and says nothing.
--
-- A type: { is = "face" | "thing" | "read" | "effect" | "group" | "record" | "list" | "value", ... }

local walk = host.module("syntax_walk")

local types = {}

local faces                 -- alias -> declarations

--- Begins a runbook. `declared`: alias -> what its plugin declares.
function types.begin(declared) faces = declared end

-- Is it a member of this thing ({kind, name}), or of the face (nil)? As in lua/face_things.lua.
local function is_on(spec, thing)
  if not thing or spec.on == nil then return not thing and spec.on == nil end
  for _, on in ipairs(type(spec.on) == "table" and spec.on or { spec.on }) do
    if on == thing.kind or on == thing.name then return true end
  end
  return false
end

local function each_member(declared, thing, fn)
  for section, is in pairs { reads = "read", effects = "effect" } do
    for verb, spec in pairs(declared[section] or {}) do
      if is_on(spec, thing) then fn(thing and spec.called or verb, is, spec, verb) end
    end
  end
  if not thing then
    for name, spec in pairs(declared.things or {}) do fn(name, "maker", spec) end
  end
end

local function thing_of(t) return t.is == "thing" and t or nil end

--- The names that a face or a thing has.
function types.members(t)
  local names = {}
  each_member(faces[t.alias], thing_of(t), function(name) names[#names + 1] = name end)
  return names
end

--- The type of member `name` of a face or thing, or nil.
function types.member(t, name)
  local found
  each_member(faces[t.alias], thing_of(t), function(called, is, spec, verb)
    if called == name then found = { is = is, alias = t.alias, name = name, verb = verb, spec = spec } end
  end)
  return found
end

local function answer_of(spec)
  local returns = spec.returns
  if returns == "fields" then return { is = "unknown" } end       -- an argument names them
  if type(returns) ~= "table" then return { is = "value", of = returns } end
  if returns.list then return { is = "list", fields = type(returns.list) == "table" and returns.list or nil } end
  return { is = "record", fields = returns }
end

local function group_of(node)
  local fields = {}
  for _, item in ipairs(node.items) do
    if item.k ~= "field" then return nil end
    local read = types.of(item.value)
    fields[item.name] = read and read.is == "read" and answer_of(read.spec) or { is = "value" }
  end
  return { is = "group", fields = fields }
end

local function of_call(node)
  local func = types.of(node.func)
  if func and func.is == "maker" then return { is = "thing", alias = func.alias, kind = func.spec.is, name = func.name } end
  if func and (func.is == "read" or func.is == "effect") then return func end
  local called = walk.called(node)
  if called == "observe" and node.args[1] then
    local what = walk.bare(node.args[1])
    if what.k == "table" then return group_of(what) end
    local read = types.of(what)
    if read and read.is == "read" then return answer_of(read.spec) end
  elseif called == "list.first" and node.args[1] then
    local list = types.of(node.args[1])
    if list and list.is == "list" and list.fields then return { is = "record", fields = list.fields } end
  end
  return nil
end

local function of_index(node)
  local object = types.of(node.object)
  if not object then return nil end
  local key = node.key
  if key.k == "string" then
    if object.is == "face" or object.is == "thing" then return types.member(object, key.value) end
    if object.is == "group" then return object.fields[key.value] end
  elseif object.is == "list" and object.fields then
    return { is = "record", fields = object.fields }
  end
  return nil
end

--- The type of an expression, or nil.
function types.of(node)
  node = walk.bare(node)
  if node.k == "name" then
    if node.var then return node.var.type end
    return faces[node.name] and { is = "face", alias = node.name } or nil
  end
  if node.k == "call" then return of_call(node) end
  if node.k == "index" then return of_index(node) end
  if node.k == "method" then
    local object = types.of(node.object)
    return object and object.is == "thing" and types.member(object, node.name) or nil
  end
  return nil
end

--- Notes the types of locals that this statement makes; statements come in the order of the text.
function types.learn(node)
  if node.k == "local" then
    for i, var in ipairs(node.vars) do
      if var.sets == 0 and node.values[i] then var.type, var.made = types.of(node.values[i]), walk.bare(node.values[i]) end
    end
  elseif node.k == "each" then
    types.learn_each(node)
  elseif node.k == "localfunc" then
    node.var.made = node.func
  end
end

-- for _, item in ipairs(list): item is a record of the list.
function types.learn_each(node)
  local call = node.values[1]
  if #node.values ~= 1 or walk.called(call) ~= "ipairs" or not call.args[1] or not node.vars[2] then return end
  local list = types.of(call.args[1])
  if list and list.is == "list" and list.fields and node.vars[2].sets == 0 then
    node.vars[2].type = { is = "record", fields = list.fields }
  end
end

return types
