-- SPDX-License-Identifier: Apache-2.0
-- What the constructors of faces are called with: arguments by the names and types of their declaration, and the text of
-- such a call.

local face = host.module("face")

local call = {}

-- Stands for a table that is not there. Nothing writes to it.
local none = {}

--- The names in a table.
function call.list_of(t)
  local names = {}
  for name in pairs(t or {}) do names[#names + 1] = name end
  return names
end

--- Refuses a name that is none of the candidates.
function call.unknown_name(what, name, candidates)
  local near = host.nearest(tostring(name), candidates)
  if #candidates == 0 then
    host.fail(string.format("%s has no '%s' (%s)", what, tostring(name), "its instance declares nothing: midwatch.yaml does, or "
      .. "--config FILE; for the shipped runbooks: --config runbooks/midwatch.example.yaml"))
  end
  host.fail(string.format("%s has no '%s'%s", what, tostring(name),
    near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(candidates, ", ") .. ")"))
end

-- A short spelling of an argument for printed texts: strings quoted, tables as {k = v}, what is deep as {...}.
local function spell(v, depth)
  if type(v) == "string" then return string.format("%q", v) end
  if type(v) ~= "table" then return tostring(v) end
  if depth == 0 then return "{...}" end
  local parts = {}
  for k, x in pairs(v) do
    x = spell(x, (depth or 4) - 1)
    parts[#parts + 1] = type(k) == "number" and x or tostring(k) .. " = " .. x
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function checks_labels(v)
  if type(v) ~= "table" then return false end
  for k, x in pairs(v) do
    if type(k) ~= "string" or (type(x) ~= "string" and type(x) ~= "number") then return false end
  end
  return true
end

-- { a = "x", b = "y" } as one text that a target can hold: a=x,b=y, whatever the values contain.
local function matchers_text(v)
  local parts = {}
  for name, value in pairs(v) do
    parts[#parts + 1] = name .. "=" .. string.gsub(tostring(value), "[^%w._:-]", function(c)
      return string.format("%%%02X", string.byte(c))
    end)
  end
  return table.concat(parts, ",")
end

local checks = {
  string = function(v) return type(v) == "string" end,
  number = function(v) return type(v) == "number" and v == v and v < math.huge and v > -math.huge end,
  integer = function(v) return math.type(v) == "integer" or (type(v) == "number" and v % 1 == 0 and math.abs(v) < 2 ^ 53) end,
  boolean = function(v) return type(v) == "boolean" end,
  duration = function(v) return type(v) == "number" or type(v) == "string" end,
  list = function(v) return type(v) == "table" end,
  any = function(v) return v ~= nil end,
  labels = checks_labels,
  matchers = function(v) return type(v) == "table" and next(v) ~= nil and checks_labels(v) end,
}

local compare = {
  [">="] = function(a, b) return a >= b end, ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end, ["<"] = function(a, b) return a < b end,
}

-- What an argument that was checked becomes.
local convert = {
  integer = function(v) return math.tointeger(v) end,
  matchers = matchers_text,
  duration = function(v, what, name) return host.module("units").duration(v, what .. ": " .. name) end,
}

local parsed = {}       -- schema -> { check, convert, optional, op, bound }

-- A schema is "integer >= 0", "string?", "labels?": type, optional mark, one bound.
local function parse(schema)
  local kind, optional, op, bound = string.match(schema, "^(%a+)(%??)%s*([<>]?=?)%s*(%-?[%d.]*)$")
  parsed[schema] = { check = checks[kind], convert = convert[kind], optional = optional == "?", op = op ~= "" and op,
    bound = tonumber(bound) }
  return parsed[schema]
end

local function checked(what, name, schema, v)
  local s = parsed[schema] or parse(schema)
  if v == nil then
    if s.optional then return nil end
    host.fail(string.format("%s: '%s' is missing (%s)", what, name, schema))
  end
  if not s.check(v) then
    host.fail(string.format("%s: '%s' must be %s, got %s", what, name, schema, spell(v)))
  end
  if s.convert then v = s.convert(v, what, name) end
  if s.op and not compare[s.op](v, s.bound) then
    host.fail(string.format("%s: '%s' must be %s, got %s", what, name, schema, spell(v)))
  end
  return v
end

-- One table of arguments by name, as `named` verbs take them; what stands behind it is left over.
local function bind_named(what, spec, first, given)
  local values, args = given[1] or {}, {}
  for k, v in pairs(first) do args[k] = v end
  if type(values) ~= "table" or face.is_value(values) or given.n > 2 then
    host.fail(what .. " takes a table: " .. what .. " { name = value }; its options are a second one")
  end
  for name in pairs(values) do
    if not spec.params[name] then call.unknown_name(what .. ": the parameters", name, call.list_of(spec.params)) end
  end
  for name, schema in pairs(spec.params) do args[name] = checked(what, name, schema, values[name]) end
  return args, { given[2] }
end

--- Positional arguments -> a table by name, which begins as `first` (nil: empty); what is left over comes back as a list.
function call.bind(what, spec, first, given)
  if spec.named then return bind_named(what, spec, first or none, given) end
  local args, order, params = {}, spec.args or none, spec.params or none
  if first then
    for k, v in pairs(first) do args[k] = v end
  end
  for i = 1, #order do
    local name = order[i]
    args[name] = checked(what, name, params[name] or "any", given[i])
  end
  local rest = {}
  for i = #order + 1, given.n do rest[#rest + 1] = given[i] end
  return args, rest
end

--- The trailing table of a call: `common` options are returned, to be read only, those that the declaration adds become
-- arguments.
function call.take_options(name, spec, rest, args, common)
  local opts, declared = none, spec.options or none
  local last = rest[#rest]
  if type(last) == "table" and not face.is_value(last) and last[1] == nil then opts = table.remove(rest) end
  if opts == none and declared == none then return none end
  for key in pairs(opts) do
    if not declared[key] and host.nearest(tostring(key), common) ~= key then
      local known = call.list_of(declared)
      for _, word in ipairs(common) do known[#known + 1] = word end
      call.unknown_name(name .. ": the options", key, known)
    end
  end
  for key, schema in pairs(declared) do args[key] = checked(name, key, schema, opts[key]) end
  return opts
end

local function spell_options(spec, args)
  if not spec.options then return nil end
  local given = {}
  for key in pairs(spec.options) do given[key] = args[key] end
  return next(given) and spell(given) or nil
end

--- The call as a text.
function call.print(name, subject, spec, args, rest)
  if spec.named then
    local own = {}
    for key in pairs(spec.params) do own[key] = args[key] end
    return name .. (subject and "(" .. subject .. ")" or "") .. (next(own) and " " .. spell(own) or "()")
  end
  local parts, order = { subject }, spec.args or none
  for i = 1, #order do
    local v = args[order[i]]
    if v ~= nil then parts[#parts + 1] = spell(v) end
  end
  for _, v in ipairs(rest or none) do parts[#parts + 1] = spell(v) end
  parts[#parts + 1] = spell_options(spec, args)
  return name .. "(" .. table.concat(parts, ", ") .. ")"
end

return call
