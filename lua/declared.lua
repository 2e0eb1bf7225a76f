-- SPDX-License-Identifier: Apache-2.0
-- What an operator declares in midwatch.yaml for shell, ssh and http: verbs with typed parameters,
-- templates that a parameter fills without becoming more than a value, and what an answer must be.

local declared = {}

local TEXT_MAX = 4096

local function names_of(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  return names
end

--- Stops unless t is a map with only these keys: { name = type of the value }.
function declared.only(what, t, known)
  if type(t) ~= "table" or (#t > 0 and next(known)) then refused(what .. " must be a map") end
  local names = names_of(known)
  for key, value in pairs(t) do
    local kind = known[key]
    if not kind then
      local near = host.nearest(tostring(key), names)
      refused(string.format("%s: unknown key '%s'%s", what, tostring(key),
        near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(names, ", ") .. ")"))
    end
    if kind ~= "any" and type(value) ~= kind then refused(string.format("%s: %s must be a %s", what, key, kind)) end
  end
end

local param_keys = { type = "string", match = "string", one_of = "table", min = "number", max = "number", default = "any",
  says = "string" }
local param_types = { string = true, integer = true, number = true, boolean = true }

-- What is wrong with a value, or nil. `pure`: without the primitives, that is, without `match`.
local function problem(spec, value, pure)
  local kind = spec.type or "string"
  if value == nil then return spec.default == nil and "is missing" or nil end
  if kind == "string" then
    if type(value) ~= "string" then return "must be a text" end
    if string.find(value, "%c") then return "holds a control character" end
    if #value > TEXT_MAX then return "is longer than " .. TEXT_MAX .. " bytes" end
    if not spec.match and not spec.one_of and string.sub(value, 1, 1) == "-" then return "looks like a flag" end
    if spec.match and not pure and not matches(value, spec.match) then return "does not match " .. spec.match end
  elseif kind == "boolean" then
    if type(value) ~= "boolean" then return "must be true or false" end
  elseif type(value) ~= "number" then
    return "must be a number"
  elseif kind == "integer" and not math.tointeger(value) then
    return "must be an integer"
  elseif (spec.min and value < spec.min) or (spec.max and value > spec.max) then
    return string.format("must be between %s and %s", tostring(spec.min or "-"), tostring(spec.max or "-"))
  end
  if spec.one_of then
    for _, allowed in ipairs(spec.one_of) do
      if allowed == value then return nil end
    end
    return "is none of " .. json.encode(spec.one_of)
  end
  return nil
end

--- Checks the declarations of parameters.
function declared.check_params(what, params)
  if params == nil then return end
  if type(params) ~= "table" then refused(what .. ": params must be a map") end
  for name, spec in pairs(params) do
    local here = what .. ": params." .. tostring(name)
    if not string.find(tostring(name), "^[%a_][%w_]*$") then refused(here .. " is no name") end
    declared.only(here, spec, param_keys)
    if spec.type and not param_types[spec.type] then
      refused(here .. ": type '" .. spec.type .. "' is not string, integer, number or boolean")
    end
    local wrong = spec.default ~= nil and problem(spec, spec.default, true)
    if wrong then refused(here .. ": the default " .. wrong) end
  end
end

--- The checked values of the parameters. stop(why) raises.
function declared.values(params, given, stop, pure)
  local values = {}
  for name, spec in pairs(params or {}) do
    local wrong = problem(spec, given[name], pure)
    if wrong then stop("parameter '" .. name .. "' " .. wrong) end
    local value = given[name]
    if value == nil then value = spec.default end
    values[name] = spec.type == "integer" and math.tointeger(value) or value
  end
  return values
end

--- Faces take any value; it is checked here, where the operator's rules are.
function declared.face_params(params)
  local out = {}
  for name in pairs(params or {}) do out[name] = "any?" end
  return out
end

--- True if the text names {{something}}.
function declared.is_template(text) return type(text) == "string" and string.find(text, "{{", 1, true) ~= nil end

--- Fills {{name}}; `spell` writes a value in the form the place wants (quoted, encoded). What was filled in is
-- not looked at again.
function declared.fill(text, values, stop, spell)
  return (string.gsub(tostring(text), "{{%s*([%w_]+)%s*}}", function(name)
    if values[name] == nil then stop("{{" .. name .. "}} has no value") end
    return spell and spell(tostring(values[name])) or tostring(values[name])
  end))
end

--- A JSON template: a text that is exactly "{{name}}" becomes the value itself, with its type.
function declared.fill_json(node, values, stop)
  if type(node) == "table" then
    local out = {}
    for key, child in pairs(node) do out[key] = declared.fill_json(child, values, stop) end
    return #node > 0 and json.array(out) or out
  end
  if type(node) ~= "string" then return node end
  local name = string.match(node, "^{{%s*([%w_]+)%s*}}$")
  if not name then return declared.fill(node, values, stop) end
  if values[name] == nil then stop("{{" .. name .. "}} has no value") end
  return values[name]
end

--- The names that templates use must be parameters (or one of `more`).
function declared.check_names(what, node, params, more)
  if type(node) == "table" then
    for _, child in pairs(node) do declared.check_names(what, child, params, more) end
    return
  end
  for name in string.gmatch(type(node) == "string" and node or "", "{{%s*(.-)%s*}}") do
    if not (params or {})[name] and not (more or {})[name] then
      local near = host.nearest(name, names_of(params or {}))
      refused(string.format("%s: {{%s}} is no parameter%s", what, name, near and " (did you mean '" .. near .. "'?)" or ""))
    end
  end
end

function declared.first_line(text)
  return string.sub((string.gsub(string.match(text or "", "^[^\n]*") or "", "%c", " ")), 1, 200)
end

local convert = {}

--- What an answer's text may become: string, integer, number, boolean, lines, json.
declared.convert = convert

local function not_a(what, text) unknown("error", "not " .. what .. ": " .. declared.first_line(text)) end

function convert.string(text) return (string.gsub(text, "\n+$", "")) end

function convert.number(text)
  local trimmed = string.match(text, "^%s*(.-)%s*$")
  local n = string.find(trimmed, "^[+-]?[%d.]+[eE]?[+-]?%d*$") and tonumber(trimmed)
  if not n or n ~= n or n == math.huge or n == -math.huge then not_a("a number", text) end
  return n
end

function convert.integer(text)
  local n = math.tointeger(convert.number(text))
  if not n then not_a("an integer", text) end
  return n
end

function convert.boolean(text)
  local word = string.match(text, "^%s*(.-)%s*$")
  if word ~= "true" and word ~= "false" then not_a("true or false", text) end
  return word == "true"
end

function convert.lines(text, spec)
  local lines, at_most = {}, spec and spec.at_most or 1000
  for line in string.gmatch(text, "[^\n]+") do
    lines[#lines + 1] = line
    if #lines > at_most then unknown("error", "more than " .. at_most .. " lines (at_most)") end
  end
  return json.array(lines)
end

function convert.json(text)
  local ok, value = try(json.decode, text)
  if not ok then not_a("JSON", text) end
  if value == json.null then unknown("no_data", "null") end
  return value
end

local read_keys = { returns = "string", ok = "table", at_most = "number" }

--- Checks `read: true` or `read: { returns, ok, at_most, ... }`; `more` are keys of the plugin.
function declared.check_read(what, read, more)
  if read == true then return end
  local keys = {}
  for k, v in pairs(read_keys) do keys[k] = v end
  for k, v in pairs(more or {}) do keys[k] = v end
  declared.only(what .. ": read", read, keys)
  local by_exit = keys.no and read.returns == "success"
  if read.no and not by_exit then refused(what .. ": no: only of a read that returns success") end
  if read.returns and not by_exit and not convert[read.returns] then
    refused(what .. ": returns: '" .. read.returns .. "' is none of string, integer, number, boolean, lines, json"
      .. (keys.no and ", success" or ""))
  end
end

local effect_keys = { class = "string", target = "string", check = "string", undo = "string", irreversible = "boolean",
  state = "string", sets = "string", refused = "table", ok = "table" }
local classes = { ensure = true, keyed = true, never_twice = true }

--- Checks `effect: { class, target, check | state + sets, undo, ... }`. `verbs` are the declared verbs by name.
function declared.check_effect(what, effect, params, verbs)
  declared.only(what .. ": effect", effect, effect_keys)
  if not effect.target then refused(what .. ": effect: the target is missing") end
  if effect.class and not classes[effect.class] then
    refused(what .. ": class '" .. effect.class .. "' is not ensure, keyed or never_twice")
  end
  if effect.undo and effect.undo ~= "not needed" then refused(what .. ": undo: only 'not needed' can be said") end
  declared.check_names(what .. ": target", effect.target, params)
  if (effect.state == nil) ~= (effect.sets == nil) then refused(what .. ": effect: state and sets go together") end
  if effect.sets and not (params or {})[effect.sets] then refused(what .. ": sets: '" .. effect.sets .. "' is no parameter") end
  for _, key in ipairs { "check", "state" } do
    local name = effect[key]
    if name and not (verbs[name] and verbs[name].read) then
      refused(string.format("%s: %s: there is no read '%s'", what, key, name))
    end
    for param, spec in pairs(name and verbs[name].params or {}) do
      if not (params or {})[param] and spec.default == nil then
        refused(string.format("%s: %s: '%s' wants the parameter '%s', which the effect has not", what, key, name, param))
      end
    end
  end
end

-- A value of the state as the type of the parameter that sets it, so that equal is equal.
local function as_param(spec, value)
  if spec.type == "integer" then return math.tointeger(value) or value end
  if spec.type == "number" then return type(value) == "number" and value + 0.0 or value end
  return value
end

--- The arguments that another declared verb takes from these.
function declared.args_for(verb, a)
  local out = {}
  for name in pairs(verb.params or {}) do out[name] = a[name] end
  return out
end

-- One line, as `says` of a declaration may be.
local function line_of(text) return string.sub(string.gsub(text, "%c", " "), 1, 200) end

--- Says what a declared verb and its parameters are: `says` of the operator, else `otherwise`.
function declared.say(declaration, name, verb, otherwise)
  declaration.says, declaration.means = declaration.says or {}, declaration.means or {}
  declaration.says[name] = line_of(verb.says or otherwise)
  for param, spec in pairs(verb.params or {}) do
    if spec.says then declaration.means[name .. "." .. param] = line_of(spec.says) end
  end
end

--- The declaration of an effect. how.send(args, key, from, a) sends it; how.look(name, args) makes a declared read;
-- how.check(name, args) answers "applied" or "absent". With state and sets the host derives check, undo and drift.
function declared.effect(verb, how)
  local spec, params = verb.effect, verb.params
  local effect = {
    named = true, params = declared.face_params(params), class = spec.class or "never_twice", target = spec.target,
    undo = spec.undo, irreversible = spec.irreversible or spec.class == nil or (not spec.undo and not spec.state) or nil,
  }
  function effect.want(a)
    local values = declared.values(params, a, refused, true)
    local out = spec.sets and { [spec.sets] = as_param(params[spec.sets], values[spec.sets]) } or values
    return next(out) and out or { done = true }
  end
  if spec.state then
    effect.state = function(a) return { [spec.sets] = as_param(params[spec.sets], how.look(spec.state, a)) } end
  elseif spec.check then
    effect.check = function(a) return how.check(spec.check, a) end
  end
  function effect.apply(a, from, to, key)
    local args = {}
    for name in pairs(params or {}) do args[name] = a[name] end
    if spec.sets then args[spec.sets] = to[spec.sets] end
    return how.send(args, key, spec.sets and from and from[spec.sets], a)
  end
  return effect
end

return declared
