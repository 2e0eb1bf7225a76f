-- SPDX-License-Identifier: Apache-2.0
-- Declared commands, as shell and ssh run them: argument lists, never a shell line. A parameter fills
-- one word or a part of one; a script goes to standard input as it is, and gets its values as words.

local declared = host.module("declared")

local command = {}

local keys = { argv = "table", params = "table", read = "any", effect = "table", timeout = "string", env = "table",
  cwd = "string", input = "any", script = "string", says = "string" }
local shells = { sh = true, bash = true, dash = true, zsh = true, ksh = true, fish = true, csh = true, tcsh = true }

--- Seconds of a command's timeout.
function command.seconds(text)
  local n, unit = string.match(tostring(text or ""), "^(%d+)(m?[sm])$")
  if not n then return 20 end
  return unit == "ms" and tonumber(n) / 1000 or unit == "m" and tonumber(n) * 60 or tonumber(n)
end

-- A value inside of a shell line would be code.
local function check_shell_line(what, c)
  local program = string.match(tostring(c.argv[1]), "([^/]*)$")
  if not shells[program] then return end
  for i = 2, #c.argv do
    if string.find(tostring(c.argv[i]), "^%-%a*c$") and declared.is_template(c.argv[i + 1]) then
      refused(what .. ": {{...}} inside of a shell line would be run as code; give it as a word of its own behind it")
    end
  end
  if declared.is_template(c.input) then
    refused(what .. ": {{...}} in the input of a shell would be run as code; use script, and give it as a word")
  end
end

--- Checks the declared commands; refuses with what would be right.
function command.check(commands)
  if type(commands) ~= "table" then refused("commands must be a map of names") end
  for name, c in pairs(commands) do
    local what = "command '" .. tostring(name) .. "'"
    if not string.find(tostring(name), "^[%l%d_]+$") then refused(what .. ": small letters, digits, _") end
    declared.only(what, c, keys)
    if type(c.argv) ~= "table" or #c.argv == 0 then refused(what .. ": argv must be a list of words, never a shell line") end
    for _, word in ipairs(c.argv) do
      if type(word) == "table" or string.find(tostring(word), "%c") then
        refused(what .. ": a word of argv must be a text without control characters")
      end
    end
    if (c.read == nil) == (c.effect == nil) then refused(what .. " must be either a read or an effect") end
    if c.timeout and not string.find(c.timeout, "^%d+m?[sm]$") then refused(what .. ": timeout must be a duration like 10s") end
    if c.input and c.script then refused(what .. ": input or script, not both") end
    declared.check_params(what, c.params)
    local more = c.effect and { key = true, from = c.effect.sets } or nil
    for _, part in ipairs { "argv", "env", "input" } do declared.check_names(what .. ": " .. part, c[part], c.params, more) end
    check_shell_line(what, c)
    if c.read then
      declared.check_read(what, c.read, { no = "table" })
    else
      declared.check_effect(what, c.effect, c.params, commands)
    end
  end
end

--- How an ended process went: nil if well, else a text. `ok`: exit codes that are fine.
function command.went_wrong(result, ok)
  if result.timed_out then return "it took too long" end
  if result.signal ~= 0 then return "it ended by signal " .. tostring(result.signal) end
  if result.lost then return result.lost end
  for _, code in ipairs(ok or { 0 }) do
    if result.code == code then return nil end
  end
  return string.format("exit %d: %s", result.code, declared.first_line(result.err ~= "" and result.err or result.out))
end

local function filled(list, values, stop)
  local out = {}
  for i, word in ipairs(list) do out[i] = declared.fill(word, values, stop) end
  return out
end

-- The job that a command with these arguments is.
local function job_of(c, given, stop, more)
  local values = declared.values(c.params, given, stop)
  for name, value in pairs(more or {}) do values[name] = value end
  local job = { argv = filled(c.argv, values, stop), cwd = c.cwd, timeout = command.seconds(c.timeout),
    input = c.script or c.input }
  if type(c.input) == "string" then job.input = declared.fill(c.input, values, stop) end
  for name, value in pairs(c.env or {}) do
    job.env = job.env or {}
    job.env[name] = type(value) == "table" and value or declared.fill(value, values, stop)
  end
  return job
end

local GRACE = 5
local face_types = { lines = "list", json = "any", success = "boolean" }

local function read_error(why) unknown("error", why) end

local function ended(result)
  return result.code ~= -1 and result.signal == 0 and not result.timed_out and not result.lost
end

-- Exit 0 is yes; exit 1, or one of `no`, is no; of anything else nothing is known.
local function succeeded(result, no)
  if ended(result) and result.code == 0 then return true end
  for _, code in ipairs(no or { 1 }) do
    if ended(result) and result.code == code then return false end
  end
  unknown("error", command.went_wrong(result))
end

--- Makes a verb of every declared command. start(job, args) runs one: job is { argv, env = {NAME = text}, cwd, input,
-- timeout, changes }, and the answer is exec's, with `lost` (why) where it is not known whether it ran. `common(verb)` sees
-- every declaration.
function command.verbs(declaration, commands, common, start)
  local function look(name, a)
    local c = commands[name]
    local spec = type(c.read) == "table" and c.read or {}
    local result = start(job_of(c, declared.args_for(c, a), read_error), a)
    if spec.returns == "success" then return succeeded(result, spec.no) end
    local wrong = command.went_wrong(result, spec.ok)
    if wrong then unknown("error", wrong) end
    if result.truncated then unknown("error", "it printed more than is kept") end
    return declared.convert[spec.returns or "string"](result.out, spec)
  end
  -- What prints true or false says it itself; of others the exit code does.
  local function check(name, a)
    local c = commands[name]
    local spec = type(c.read) == "table" and c.read or {}
    if spec.returns == "boolean" then return look(name, a) and "applied" or "absent" end
    return succeeded(start(job_of(c, declared.args_for(c, a), read_error), a), spec.no) and "applied" or "absent"
  end
  local function send_of(c)
    return function(a, key, from, all)
      local job = job_of(c, a, refused, { key = key, from = from })
      job.changes = true
      local result = start(job, all)
      local wrong = command.went_wrong(result, c.effect.ok)
      if not wrong then return { code = result.code, out = string.sub(result.out, 1, 4096) } end
      for _, code in ipairs(c.effect.refused or {}) do
        if ended(result) and result.code == code then refused(wrong) end
      end
      maybe(wrong)
    end
  end
  for name, c in pairs(commands) do
    local verb
    if c.read then
      local returns = type(c.read) == "table" and c.read.returns or "string"
      verb = { named = true, params = declared.face_params(c.params), returns = face_types[returns] or returns,
        read = function(a) return look(name, a) end }
      declaration.reads[name] = verb
    else
      verb = declared.effect(c, { look = look, check = check, send = send_of(c) })
      declaration.effects[name] = verb
    end
    declared.say(declaration, name, c, "runs " .. table.concat(c.argv, " "))
    -- The call outlives the process, which is ended first.
    verb.timeout = math.ceil(command.seconds(c.timeout)) + GRACE
    common(verb)
  end
end

return command
