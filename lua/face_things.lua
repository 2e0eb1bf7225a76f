-- SPDX-License-Identifier: Apache-2.0
-- Things, like the deployments of `kubernetes`: what they are made of is the first arguments of their methods, which are
-- reads and effects.

local face = host.module("face")
local call = host.module("face_call")
local make = host.module("face_make")

local bind = call.bind

local function is_on(spec, kind, name)
  if type(spec.on) ~= "table" then return spec.on == kind or spec.on == name end
  for _, on in ipairs(spec.on) do
    if on == kind or on == name then return true end
  end
  return false
end

local makers = { effects = make.effect, reads = make.read }

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
  for section, maker in pairs(makers) do
    for _, verb in ipairs { key, name .. "_" .. key, kind .. "_" .. key } do
      local spec = declared[section][verb]
      if spec and (spec.called or verb) == key and is_on(spec, kind, name) then return maker(context, verb, spec, thing) end
    end
  end
  return methods_of(context, declared, kind, name, thing)[key]
end

--- The constructor of things of one kind.
local function make_thing(context, declared, kind_name, spec)
  local name = context.alias .. "." .. kind_name
  return face.constructor(function(...)
    local args, rest = bind(name, spec, spec.set, table.pack(...))
    if #rest > 0 then host.fail(name .. ": too many arguments") end
    local words = { kind_name }
    for _, key in ipairs(spec.args or {}) do words[#words + 1] = tostring(args[key]) end
    local thing = { kind = kind_name, set = args, text = table.concat(words, "/") }
    local methods = {}
    return face.new_thing(thing, function(_, key)
      local method = methods[key] or method_of(context, declared, spec.is, kind_name, thing, tostring(key))
      if not method then
        call.unknown_name("a " .. kind_name, key, call.list_of(methods_of(context, declared, spec.is, kind_name, thing)))
      end
      methods[key] = method
      return function(_, ...) return method(...) end
    end)
  end)
end

return { make = make_thing }
