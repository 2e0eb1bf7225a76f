-- SPDX-License-Identifier: Apache-2.0
-- The constructors of reads and effects, generated from a plugin's declarations.

local face = host.module("face")
local call = host.module("face_call")

local bind, take_options, print_call = call.bind, call.take_options, call.print

local make = {}

local read_options, no_options = { "absent", "max_age", "window" }, {}

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
  local args, rest = bind(name, spec, thing and thing.set, given)
  local opts = take_options(name, spec, rest, args, read_options)
  if spec.rest then
    args[spec.rest] = host.array(rest)
  elseif #rest > 0 then
    host.fail(string.format("%s: too many arguments", name))
  end
  local given_window, window
  if spec.window then
    given_window, window = host.module("face_window").of(context, spec, name, args, opts)
  elseif opts.window then
    host.fail(name .. " has no window")
  end
  local max_age = opts.max_age and host.module("units").duration(opts.max_age, name .. ": max_age") or spec.max_age
  args.window = given_window
  local text, returns = print_call(name, thing and thing.text, spec, args, rest), returns_of(spec, args)
  return {
    name = name, verb = verb, instance = context.instance, window = window, absent = opts.absent,
    returns = returns, record = type(returns) == "table", known = spec.known, unit = spec.unit, text = text,
    request = { args = args, max_age = max_age, absent = opts.absent, text = text, unit = spec.unit },
  }
end

--- The constructor of a read; thing: what it is a method of, or nil.
function make.read(context, verb, spec, thing)
  local name = context.alias .. "." .. verb
  return face.constructor(function(...)
    return face.new_read(read_data(context, verb, spec, name, thing, table.pack(...)))
  end)
end

--- The same of an effect.
function make.effect(context, verb, spec, thing)
  local name = context.alias .. "." .. verb
  return face.constructor(function(...)
    local args, rest = bind(name, spec, thing and thing.set, table.pack(...))
    take_options(name, spec, rest, args, no_options)
    if #rest > 0 then host.fail(name .. ": too many arguments") end
    return face.new_effect {
      name = name, instance = context.instance, text = print_call(name, thing and thing.text, spec, args),
      args = { args = args },
    }
  end)
end

-- What stands directly under an alias.
local function member_of(context, declared, key)
  local thing, effect, read = declared.things[key], declared.effects[key], declared.reads[key]
  if thing then return host.module("face_things").make(context, declared, key, thing) end
  if effect and not effect.on then return make.effect(context, key, effect) end
  if read and not read.on then return make.read(context, key, read) end
end

local function member_names(declared)
  local names = call.list_of(declared.things)
  for _, section in ipairs { "effects", "reads" } do
    for verb, spec in pairs(declared[section]) do
      if not spec.on then names[#names + 1] = verb end
    end
  end
  table.sort(names)
  return names
end

--- What stands under an alias; another name is an error.
function make.member(context, declared, key)
  local member = member_of(context, declared, key)
  if not member then call.unknown_name(context.alias, key, member_names(declared)) end
  return member
end

return make
