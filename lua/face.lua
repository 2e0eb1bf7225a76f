-- SPDX-License-Identifier: Apache-2.0
-- Faces: the pure constructors of read and effect values that a runbook sees as `kubernetes`,
-- `prometheus`, ... They are generated from a plugin's declarations; nothing here touches the world.

local units = host.module("units")
local prelude = host.module("prelude")

local face = {}

-- opaque value -> its data
local reads, effects, things = host.weak(), host.weak(), host.weak()

--- What the runbook gets for the constructor f: all paths have one that makes the same value once.
function face.constructor(f) return f end

--- A read is called by the first name that it is observed under.
function face.call(read, name) read.request.called = read.request.called or name end

--- For all paths: value v is gone.
function face.drop(v) reads[v], effects[v], things[v] = nil, nil, nil end

--- The data of a read value, or nil.
function face.read_of(v) return reads[v] end
--- The data of an effect value, or nil.
function face.effect_of(v) return effects[v] end
--- True for reads, effects and the things they are made on.
function face.is_value(v) return (reads[v] or effects[v] or things[v]) ~= nil end

--- What v is, for messages.
function face.describe(v)
  if reads[v] then return "the read " .. reads[v].text end
  if effects[v] then return "the effect " .. effects[v].text end
  if things[v] then return "a " .. things[v].kind end
  return v == nil and "nothing" or "a " .. type(v)
end

local function list_of(t)
  local names = {}
  for name in pairs(t or {}) do names[#names + 1] = name end
  return names
end

local function unknown_name(what, name, candidates)
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

local parsed = {}       -- schema -> { kind, optional, op, bound }

-- A schema is "integer >= 0", "string?", "labels?": type, optional mark, one bound.
local function parse(schema)
  local kind, optional, op, bound = string.match(schema, "^(%a+)(%??)%s*([<>]?=?)%s*(%-?[%d.]*)$")
  parsed[schema] = { kind = kind, optional = optional == "?", op = op ~= "" and op, bound = tonumber(bound) }
  return parsed[schema]
end

local function checked(what, name, schema, v)
  local s = parsed[schema] or parse(schema)
  local kind = s.kind
  if v == nil then
    if s.optional then return nil end
    host.fail(string.format("%s: '%s' is missing (%s)", what, name, schema))
  end
  if not checks[kind](v) then
    host.fail(string.format("%s: '%s' must be %s, got %s", what, name, schema, spell(v)))
  end
  if kind == "integer" then v = math.tointeger(v) end
  if kind == "matchers" then v = matchers_text(v) end
  if kind == "duration" then v = units.duration(v, what .. ": " .. name) end
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
    if not spec.params[name] then unknown_name(what .. ": the parameters", name, list_of(spec.params)) end
  end
  for name, schema in pairs(spec.params) do args[name] = checked(what, name, schema, values[name]) end
  return args, { given[2] }
end

-- Positional arguments -> a table by name; what is left over comes back as a list.
local function bind(what, spec, first, given)
  if spec.named then return bind_named(what, spec, first, given) end
  local args, order = {}, spec.args or {}
  for k, v in pairs(first) do args[k] = v end
  for i = 1, #order do
    local value = checked(what, order[i], spec.params and spec.params[order[i]] or "any", given[i])
    args[order[i]] = value
  end
  local rest = {}
  for i = #order + 1, given.n do rest[#rest + 1] = given[i] end
  return args, rest
end

-- The trailing table of a call: `common` options are returned, those that the declaration adds become arguments.
local function take_options(name, spec, rest, args, common)
  local opts, declared = {}, spec.options or {}
  local last = rest[#rest]
  if type(last) == "table" and not face.is_value(last) and last[1] == nil then opts = table.remove(rest) end
  for key in pairs(opts) do
    if not declared[key] and host.nearest(tostring(key), common) ~= key then
      local known = list_of(declared)
      for _, word in ipairs(common) do known[#known + 1] = word end
      unknown_name(name .. ": the options", key, known)
    end
  end
  for key, schema in pairs(declared) do args[key] = checked(name, key, schema, opts[key]) end
  return opts
end

local function spell_options(spec, args)
  local given = {}
  for key in pairs(spec.options or {}) do given[key] = args[key] end
  return next(given) and spell(given) or nil
end

local function print_call(name, subject, spec, args, rest)
  local parts = { subject }
  if spec.named then
    local own = {}
    for key in pairs(spec.params) do own[key] = args[key] end
    return name .. (subject and "(" .. subject .. ")" or "") .. (next(own) and " " .. spell(own) or "()")
  end
  for _, key in ipairs(spec.args or {}) do
    if args[key] ~= nil then parts[#parts + 1] = spell(args[key]) end
  end
  for _, v in ipairs(rest) do parts[#parts + 1] = spell(v) end
  parts[#parts + 1] = spell_options(spec, args)
  return name .. "(" .. table.concat(parts, ", ") .. ")"
end

-- How far back a query looks: its widest [5m] outside of quotes, and what a subquery [1h:5m] adds to it. Nil if it
-- names no range. $window stands for `window`.
local function ranges_of(query, window)
  local bare = string.gsub(string.gsub(query, "\\.", ""), '"[^"]*"', "")
  bare = string.gsub(string.gsub(string.gsub(bare, "'[^']*'", ""), "`[^`]*`", ""), "#[^\n]*", "")
  local widest, sub = nil, 0
  for inside in string.gmatch(bare, "%[([^%[%]]*)%]") do
    local range, step = string.match(inside, "^%s*([%w$.]+)%s*(:?)")
    local seconds = range == "$window" and window or range and units.try_duration(range)
    if seconds and step == ":" then
      sub = sub + seconds
    elseif seconds then
      widest = math.max(widest or 0, seconds)
    end
  end
  return (widest or sub > 0) and (widest or 0) + sub or nil
end

-- The window of a read, in seconds: what the option or the instance says, or what stands in the query itself.
local function window_of(context, spec, name, args, opts)
  if not spec.window then
    if opts.window then host.fail(name .. " has no window") end
    return nil
  end
  local default = type(spec.window) == "string" and spec.window or context.window or 300
  local window = units.duration(opts.window or default, name .. ": window")
  local query = spec.window_in and args[spec.window_in]
  if not query then return window, window end
  if opts.window and not string.find(query, "$window", 1, true) then
    host.fail(name .. ": a window is given, and the query does not name $window")
  end
  -- An instant query sees samples up to two scrapes old.
  return window, ranges_of(query, window) or 2 * (context.interval or 60)
end

local read_options = { "absent", "max_age", "window" }

-- A list or record of the fields that the call itself names.
local function returns_of(spec, args)
  local is_list = type(spec.returns) == "table" and spec.returns.list == "fields"
  if is_list or spec.returns == "fields" then
    local fields = {}
    for name in pairs(args.fields) do fields[name] = "any?" end
    return is_list and { list = fields } or fields
  end
  return spec.returns
end

local function read_data(context, verb, spec, name, thing, given)
  local args, rest = bind(name, spec, thing and thing.set or {}, given)
  local opts = take_options(name, spec, rest, args, read_options)
  if spec.rest then
    args[spec.rest] = host.array(rest)
  elseif #rest > 0 then
    host.fail(string.format("%s: too many arguments", name))
  end
  local given_window, window = window_of(context, spec, name, args, opts)
  local max_age = opts.max_age and units.duration(opts.max_age, name .. ": max_age") or spec.max_age
  args.window = given_window
  local text = print_call(name, thing and thing.text, spec, args, rest)
  return {
    name = name, verb = verb, instance = context.instance, window = window, absent = opts.absent,
    returns = returns_of(spec, args), known = spec.known, unit = spec.unit, text = text,
    request = { args = args, max_age = max_age, absent = opts.absent, text = text, unit = spec.unit },
  }
end

local function make_read(context, verb, spec, thing)
  local name = context.alias .. "." .. verb
  return face.constructor(function(...)
    local value = host.readonly({ read = name }, "a read (observe it first)")
    reads[value] = read_data(context, verb, spec, name, thing, table.pack(...))
    return value
  end)
end

local function make_effect(context, verb, spec, thing)
  local name = context.alias .. "." .. verb
  return face.constructor(function(...)
    local args, rest = bind(name, spec, thing and thing.set or {}, table.pack(...))
    take_options(name, spec, rest, args, {})
    if #rest > 0 then host.fail(name .. ": too many arguments") end
    local value = host.readonly({ effect = name }, "an effect (give it to remedy)")
    effects[value] = {
      name = name, instance = context.instance, text = print_call(name, thing and thing.text, spec, args, {}),
      request = { args = args },
    }
    return value
  end)
end

local function is_on(spec, kind, name)
  if type(spec.on) ~= "table" then return spec.on == kind or spec.on == name end
  for _, on in ipairs(spec.on) do
    if on == kind or on == name then return true end
  end
  return false
end

local makers = { effects = make_effect, reads = make_read }

-- All methods that plugin declarations give to a thing: those on its kind or on itself; `called` is their short name
-- where things of other kinds have one like it.
local function methods_of(context, declared, kind, name, thing)
  local methods = {}
  for _, section in ipairs { "reads", "effects" } do
    for verb, spec in pairs(declared[section]) do
      if is_on(spec, kind, name) then methods[spec.called or verb] = makers[section](context, verb, spec, thing) end
    end
  end
  return methods
end

-- One of them. Declarations are decoded when they are looked at, so it looks where it most often is first.
local function method_of(context, declared, kind, name, thing, key)
  for section, make in pairs(makers) do
    for _, verb in ipairs { key, name .. "_" .. key, kind .. "_" .. key } do
      local spec = declared[section][verb]
      if spec and (spec.called or verb) == key and is_on(spec, kind, name) then return make(context, verb, spec, thing) end
    end
  end
  return methods_of(context, declared, kind, name, thing)[key]
end

local function make_thing(context, declared, kind_name, spec)
  local name = context.alias .. "." .. kind_name
  return face.constructor(function(...)
    local args, rest = bind(name, spec, spec.set or {}, table.pack(...))
    if #rest > 0 then host.fail(name .. ": too many arguments") end
    local words = { kind_name }
    for _, key in ipairs(spec.args or {}) do words[#words + 1] = tostring(args[key]) end
    local thing = { kind = kind_name, set = args, text = table.concat(words, "/") }
    local methods = {}
    local proxy = host.proxy({
      __index = function(_, key)
        local method = methods[key] or method_of(context, declared, spec.is, kind_name, thing, tostring(key))
        if not method then
          unknown_name("a " .. kind_name, key, list_of(methods_of(context, declared, spec.is, kind_name, thing)))
        end
        methods[key] = method
        return function(_, ...) return method(...) end
      end,
      __newindex = function() host.fail("a " .. kind_name .. " is read-only") end,
    })
    things[proxy] = thing
    return proxy
  end)
end

-- What stands directly under an alias.
local function member_of(context, declared, key)
  local thing, effect, read = declared.things[key], declared.effects[key], declared.reads[key]
  if thing then return make_thing(context, declared, key, thing) end
  if effect and not effect.on then return make_effect(context, key, effect) end
  if read and not read.on then return make_read(context, key, read) end
end

local function member_names(declared)
  local names = list_of(declared.things)
  for _, section in ipairs { "effects", "reads" } do
    for verb, spec in pairs(declared[section]) do
      if not spec.on then names[#names + 1] = verb end
    end
  end
  table.sort(names)
  return names
end

--- The global of one alias, from the declarations of its plugin. context: alias, instance, window.
function face.make(context, declared)
  local members = {}
  return host.proxy({
    __index = function(_, key)
      local member = members[key] or member_of(context, declared, key)
      if not member then unknown_name(context.alias, key, member_names(declared)) end
      members[key] = member
      return member
    end,
    __newindex = function() host.fail(context.alias .. " is read-only") end,
  })
end

-- A field that `known` lists and the answer lacks is unknown: to look at it is inconclusive.
local function unknown_fields(copy, value, known, what)
  local missing
  for _, name in ipairs(known) do
    if copy[name] == nil then
      missing = missing or {}
      missing[name] = true
    end
  end
  if not missing then return copy end
  return setmetatable(copy, { __index = function(_, key)
    if missing[key] then
      prelude.inconclusive(what .. "." .. key, "no_data", type(value.why) == "string" and value.why or nil)
    end
  end })
end

-- Only a scenario leaves out what a read always has: the gate lets no such answer in.
local function missing_fields(copy, missing, what)
  return setmetatable(copy, { __index = function(_, key)
    if missing[key] then host.fail(string.format("%s has no '%s' here: the scenario must give it", what, key)) end
  end })
end

local function is_optional(kind) return type(kind) == "string" and string.find(kind, "?", 1, true) ~= nil end

local function strict_record(value, fields, what, known)
  local copy, missing = {}, nil
  for name, kind in pairs(fields) do
    local v = value[name]
    if v ~= nil and v ~= host.null then
      copy[name] = kind == "map" and type(v) == "table" and host.readonly(v, what .. "." .. name) or v
    elseif not known and not is_optional(kind) then
      missing = missing or {}
      missing[name] = true
    end
  end
  if missing then copy = missing_fields(copy, missing, what) end
  return host.readonly(known and unknown_fields(copy, value, known, what) or copy, what, list_of(fields))
end

--- A list or record of an answer as the runbook may see it: read-only, and strict about fields.
function face.strict(value, read, what)
  local returns = read.returns
  if type(returns) ~= "table" then return value end
  if returns.list then
    local fields, out = returns.list, {}
    for i = 1, #value do
      out[i] = type(fields) == "table" and strict_record(value[i], fields, what .. "[" .. i .. "]", read.known)
        or value[i]
    end
    return host.array(out)
  end
  return strict_record(value, returns, what, read.known)
end

return face
