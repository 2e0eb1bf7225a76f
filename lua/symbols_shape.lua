-- SPDX-License-Identifier: Apache-2.0
-- What a read may answer, made from what its plugin says that it returns: numbers and texts are symbols, a boolean forks, a
-- list is none, one or many, a record has its fields when they are looked at.

local fork = host.module("fork")
local undo = host.module("undo")
local symbols = host.module("symbols")
local prelude = host.module("prelude")
local touch = host.module("symbols_narrow").touch

local shape = {}

local records                   -- proxy of a record or map -> { fields, text, values, ... }
local lists                     -- list -> { schema, text, count }
local in_order                  -- fields -> their names in order, and the place of each
local NIL = {}
shape.NIL = NIL                 -- of a field that is not there

--- shape.lengths: has another version when a list has got a length.

--- What a record, map or list of this path was made from: for witnesses. Nil for anything else.
function shape.of(v) return records[v] or lists[v] end

local function describe_boolean(choice, text) return choice == 1 and text or "not " .. text end
local function describe_there(choice, text) return text .. (choice == 1 and " is there" or " is not there") end

--- Forks into two: true, or false. roots: the reads that it comes from.
function shape.boolean(text, roots)
  local choice, node = fork.choose(2, text, describe_boolean, text)
  node.roots = node.roots or roots
  return choice == 1
end

local function describe_known(choice, text) return choice == 2 and text .. " is unknown" or nil end

-- A field that the answer may lack.
local function is_there(record, key, text)
  local schema = record.fields[key]
  if record.known and record.known[key] then
    local choice, node = fork.choose(2, text, describe_known, text)
    node.roots, node.unknown = node.roots or record.roots, 2
    if choice == 1 then return true end
    symbols.put(record, "lacks", key, true)
    prelude.inconclusive(text, "no_data")
  end
  if type(schema) ~= "string" or not string.find(schema, "?", 1, true) then return true end
  local choice, node = fork.choose(2, text, describe_there, text)
  node.roots = node.roots or record.roots
  return choice == 1
end

-- The names of fields in their order, and the place of each.
local function names_of(fields)
  local known = in_order[fields]
  if not known then
    known = { names = {}, places = {} }
    for name in pairs(fields) do
      known.names[#known.names + 1] = name
      known.places[name] = #known.names
    end
    in_order[fields] = known
  end
  return known.names, known.places
end

local function no_field(record, key)
  local names = record.names
  local near = type(key) == "string" and host.nearest(key, names)
  host.fail(string.format("%s has no field '%s'%s (has: %s)", record.text, tostring(key),
    near and " (did you mean '" .. near .. "'?)" or "", table.concat(names, ", ")))
end

local record_meta = {
  __index = function(proxy, key)
    local record = records[proxy]
    if not record then fork.bound("a value", "it comes from another path") end
    for root in host.rawpairs(record.roots) do fork.look(root) end
    local n = record.places[key]
    if not n then no_field(record, key) end
    fork.look(fork.part(record.id, n))
    local value = record.values[key]
    if value == nil then
      local text = record.text .. "." .. key
      if is_there(record, key, text) then
        value = shape.value(record.fields[key], text, { roots = record.roots })
      else
        value = NIL
      end
      undo.set(record.values, key, value)
    end
    if value == NIL then return nil end
    return value
  end,
  __newindex = function() host.fail("what was observed is read-only") end,
  __pairs = function() fork.bound("a record", "its fields are gone through, and what they are is not known") end,
}

local map_meta = {
  __index = function(proxy, key)
    local record = records[proxy]
    if not record then fork.bound("a value", "it comes from another path") end
    for root in host.rawpairs(record.roots) do fork.look(root) end
    fork.look(record.id)
    if symbols.of(key) then key = symbols.plain(key) end
    local value = record.values[key]
    if value == nil then
      local text = record.text .. "." .. tostring(key)
      local choice, node = fork.choose(2, text, describe_there, text)
      node.roots = node.roots or record.roots
      value = choice == 1 and symbols.string(text, { roots = record.roots }) or NIL
      undo.set(record.values, key, value)
    end
    if value == NIL then return nil end
    return value
  end,
  __newindex = function() host.fail("what was observed is read-only") end,
  __pairs = function() fork.bound("labels", "they are gone through, and which there are is not known") end,
}

local function new_record(meta, data)
  data.values, data.proxy = {}, setmetatable({}, meta)
  return data
end

local function make_record(meta, fresh)
  local data = fork.same(new_record, meta, fresh)
  data.id = fork.new_id(data.text, data)
  undo.set(records, data.proxy, data)
  return data.proxy
end

--- Labels: a text under every name, or none.
function shape.map(text, roots) return make_record(map_meta, { text = text, roots = roots, map = true }) end

local function describe_list(choice, text) return (choice == 1 and "no " or choice == 2 and "one of " or "many of ") .. text end

--- Whether a value of which not even the type is known has an element of this number: as a list it has none, one or many.
function symbols.has_element(data, number)
  local var = data.var
  if not (var.facts and var.facts["#"]) then
    local choice, node = fork.choose(3, data.text, describe_list, data.text)
    node.roots = node.roots or var.roots
    symbols.put(var, "facts", "#", choice - 1)
  end
  return number >= 1 and number <= var.facts["#"]
end

local list_meta = {
  __len = function(list)
    local data = lists[list]
    for root in host.rawpairs(data.roots) do fork.look(root) end
    if data.count < 2 then return data.count end
    if not data.length then
      touch(shape.lengths)
      undo.set(data, "length", symbols.number("#" .. data.text, { integer = true, lo = 2, roots = data.roots }))
    end
    return data.length
  end,
  __newindex = function() host.fail("what was observed is read-only") end,
}

local function new_list_of(elements, text, roots, schema)
  local n = #elements
  local list = n < 2 and elements or setmetatable(elements, list_meta)
  return { text = text, roots = roots, count = n, schema = schema, list = list }
end

--- A list of n elements; 2 stands for many.
function shape.list(elements, text, roots, schema)
  local data = fork.same(new_list_of, elements, text, roots, schema)
  undo.set(lists, data.list, data)
  return data.list
end

local function new_list(schema, text, options)
  local choice, node = fork.choose(3, text, describe_list, text)
  node.roots = node.roots or options.roots
  local elements = {}
  for i = 1, choice - 1 do
    elements[i] = shape.value(schema, string.format("%s[%d]", text, i), { roots = options.roots, known = options.known })
  end
  return shape.list(elements, text, options.roots, schema)
end

local numbers = { number = true, integer = true, duration = true }

local function scalar(schema, text, options)
  local kind, _, op, bound = string.match(schema, "^(%a+)(%??)%s*([<>]?=?)%s*(%-?[%d.]*)$")
  if numbers[kind] then
    local o = { integer = kind == "integer", unit = options.unit, roots = options.roots }
    local n = tonumber(bound)
    if op == ">=" then o.lo = n elseif op == "<=" then o.hi = n end
    if op == ">" then o.lo, o.lo_open = n, true elseif op == "<" then o.hi, o.hi_open = n, true end
    return symbols.number(text, o)
  end
  if kind == "boolean" then return shape.boolean(text, options.roots) end
  if kind == "string" then return symbols.string(text, options) end
  if kind == "labels" or kind == "map" then return shape.map(text, options.roots) end
  if kind == "list" then return new_list("any", text, options) end
  return symbols.any(text, options)
end

--- A value of `schema` under the name `text`. options: unit, roots (the reads that it comes from), known (fields that an
-- answer may lack).
function shape.value(schema, text, options)
  if schema == nil then return symbols.any(text, options) end
  if type(schema) == "string" then return scalar(schema, text, options) end
  if schema.list then return new_list(schema.list, text, options) end
  local known
  for _, name in ipairs(options.known or {}) do
    known = known or {}
    known[name] = true
  end
  local names, places = names_of(schema)
  return make_record(record_meta, { fields = schema, names = names, places = places, text = text, known = known,
    roots = options.roots })
end

local function describe_some(choice, text)
  return (choice == 1 and "none" or choice == 2 and "one" or "many") .. " of " .. text
end

--- Those of a list of many for which holds(item) is true: none, one, many. Nil for lists that are no list of many.
function shape.where(list, holds, said)
  local data = lists[list]
  if not data or data.count < 2 then return nil end
  local about = data.text .. " with " .. said
  local choice, node = fork.choose(3, about, describe_some, about)
  node.roots = node.roots or data.roots
  local out = {}
  for i, item in ipairs(list) do
    local ok, is = fork.scope("where", about, function() return holds(item) and true or false end,
      function(fine, yes) return not fine and "error" or yes and "yes" or "no" end)
    if not ok then host.error(is, 0) end
    if is ~= (i < choice) then fork.impossible() end
    if is then out[#out + 1] = item end
  end
  return shape.list(out, about, data.roots, data.schema)
end

function shape.begin() records, lists, in_order, shape.lengths = {}, {}, {}, {} end

return shape
