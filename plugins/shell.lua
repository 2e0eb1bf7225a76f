-- SPDX-License-Identifier: Apache-2.0
-- Commands that the operator declared in midwatch.yaml. Each becomes a verb of the face: a read
-- (`shell.uptime()`) or an effect (`shell.restart_web { name = "api" }`). A command is an argument list,
-- never a shell line; a parameter fills one word or part of one.
--
--   commands:
--     uptime:      { argv: [uptime, -p], read: true }
--     restart_web: { argv: [systemctl, restart, "{{name}}"], params: { name: { type: string, match: "[a-z-]+" } },
--                    effect: { class: never_twice, target: "service/{{name}}", undo: not needed } }

local declaration = { settings = { commands = "map" }, reads = {}, effects = {} }

local function problem(name, spec, value)
  if value == nil then return spec.default == nil and "is missing" or nil end
  if spec.type == "string" then
    if type(value) ~= "string" then return "must be a text" end
    if string.find(value, "%c") then return "holds a control character" end
    if spec.match and not matches(value, spec.match) then return "does not match " .. spec.match end
    if not spec.match and not spec.one_of and string.sub(value, 1, 1) == "-" then return "looks like a flag" end
  elseif spec.type == "boolean" then
    if type(value) ~= "boolean" then return "must be true or false" end
  elseif type(value) ~= "number" then
    return "must be a number"
  elseif (spec.min and value < spec.min) or (spec.max and value > spec.max) then
    return string.format("must be between %s and %s", tostring(spec.min or "-"), tostring(spec.max or "-"))
  end
  if spec.one_of then
    for _, allowed in ipairs(spec.one_of) do
      if allowed == value then return nil end
    end
    return "is none of those allowed"
  end
  return nil, name
end

local function values_of(command, given, stop)
  local values, params = {}, command.params or {}
  for name in pairs(given) do
    if not params[name] then stop("there is no parameter '" .. tostring(name) .. "'") end
  end
  for name, spec in pairs(params) do
    local wrong = problem(name, spec, given[name])
    if wrong then stop("parameter '" .. name .. "' " .. wrong) end
    values[name] = given[name] == nil and spec.default or given[name]
  end
  return values
end

local function fill(text, values, stop)
  return (string.gsub(tostring(text), "{{%s*([%w_]+)%s*}}", function(name)
    if values[name] == nil then stop("{{" .. name .. "}} has no value") end
    return tostring(values[name])
  end))
end

-- A text, or { secret = name } as it is.
local function handed(value, values, stop)
  return type(value) == "table" and value or fill(value, values, stop)
end

local function seconds(text)
  local n, unit = string.match(tostring(text or ""), "^(%d+)(m?[sm])$")
  if not n then return 20 end
  return unit == "ms" and tonumber(n) / 1000 or unit == "m" and tonumber(n) * 60 or tonumber(n)
end

local function run(command, given, changes, stop)
  local values, argv, env = values_of(command, given, stop), {}, nil
  for i, word in ipairs(command.argv) do argv[i] = fill(word, values, stop) end
  if command.env then
    env = {}
    for name, value in pairs(command.env) do env[name] = handed(value, values, stop) end
  end
  return exec {
    argv = argv, env = env, cwd = command.cwd, timeout = seconds(command.timeout), changes = changes,
    input = command.input and handed(command.input, values, stop),
  }
end

local function first_line(text)
  return (string.gsub(string.match(text or "", "^[^\n]*") or "", "%c", " "))
end

local function went_wrong(result)
  if result.timed_out then return "it took too long" end
  if result.signal ~= 0 then return "it ended by signal " .. tostring(result.signal) end
  return string.format("exit %d: %s", result.code, string.sub(first_line(result.err ~= "" and result.err or result.out), 1, 200))
end

local function is_ok(result, ok)
  for _, code in ipairs(ok or { 0 }) do
    if result.code == code and result.signal == 0 and not result.timed_out then return true end
  end
  return false
end

local convert = {}

function convert.string(text) return (string.gsub(text, "\n+$", "")) end

function convert.number(text)
  local n = tonumber((string.gsub(text, "%s+", "")))
  if not n or n ~= n then unknown("error", "not a number: " .. first_line(text)) end
  return n
end

function convert.integer(text)
  local n = math.tointeger(convert.number(text))
  if not n then unknown("error", "not an integer: " .. first_line(text)) end
  return n
end

function convert.boolean(text)
  local word = convert.string(text)
  if word ~= "true" and word ~= "false" then unknown("error", "neither true nor false: " .. first_line(text)) end
  return word == "true"
end

function convert.lines(text)
  local lines = {}
  for line in string.gmatch(text, "[^\n]+") do lines[#lines + 1] = line end
  return json.array(lines)
end

function convert.json(text)
  local ok, value = try(json.decode, text)
  if not ok then unknown("error", "not JSON: " .. first_line(text)) end
  return value
end

local function read_error(why) unknown("error", why) end

-- Their values are checked where they are used, by the operator's rules.
local function params_of(command)
  local params = {}
  for name in pairs(command.params or {}) do params[name] = "any?" end
  return params
end

local function add_read(name, command)
  local spec = type(command.read) == "table" and command.read or {}
  local returns = spec.returns or "string"
  declaration.reads[name] = {
    named = true, params = params_of(command), returns = returns,
    read = function(a)
      local result = run(command, a, false, read_error)
      if not is_ok(result, spec.ok) then unknown("error", went_wrong(result)) end
      if result.truncated then unknown("error", "it printed more than is kept") end
      return convert[returns](result.out)
    end,
  }
end

local function looked_up(name)
  local check = instance.settings.commands[name]
  if not check or not check.read then refused("check: there is no read command '" .. tostring(name) .. "'") end
  return check
end

local function add_effect(name, command)
  local spec = command.effect
  local effect = {
    named = true, params = params_of(command), class = spec.class or "never_twice", target = spec.target, undo = spec.undo,
    irreversible = spec.irreversible or (spec.class == nil) or (spec.undo == nil) or nil, timeout = seconds(command.timeout),
    want = function(a) return a end,
    apply = function(a)
      local result = run(command, a, true, refused)
      if is_ok(result) then return { code = result.code, out = string.sub(result.out, 1, 4096) } end
      if result.timed_out or result.signal ~= 0 then maybe(went_wrong(result)) end
      maybe(went_wrong(result))
    end,
  }
  if spec.check then
    effect.check = function(a)
      local result = run(looked_up(spec.check), a, false, read_error)
      if result.code == 0 then return "applied" end
      if result.code == 1 then return "absent" end
      unknown("error", went_wrong(result))
    end
  end
  declaration.effects[name] = effect
end

--- Makes a verb of every declared command; called by the host before anything else.
function declaration.configure(it)
  for name, command in pairs(it.settings.commands or {}) do
    if command.read then add_read(name, command) else add_effect(name, command) end
  end
end

return plugin "shell"(declaration)
