-- SPDX-License-Identifier: Apache-2.0
-- remedy: the only way to change anything. Plan, look again, send, prove, and undo if the proof fails:
--   plan -> policy -> when -> { intent -> apply -> result } per effect -> first_look -> verify -> done
-- The life of one effect between its plan and its outcome is the host's; this is the order of steps.

local prelude = host.module("prelude")
local units = host.module("units")
local face = host.module("face")
local observe = host.module("observe")
local wait = host.module("wait")
local ending = host.module("ending")

local number = 0                -- of remedies in this run
local options = { "verify", "when", "within", "every", "first_look", "on_failure" }
local failures = { undo = true, escalate = true, continue = true }

local function read_options(title, opts)
  if type(opts) ~= "table" then host.fail(string.format("remedy \"%s\" wants { verify = ..., within = ... }", title)) end
  for key in pairs(opts) do
    local near = host.nearest(tostring(key), options)
    if near ~= key then
      host.fail(string.format("remedy \"%s\" has no option '%s'%s", title, tostring(key),
        near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(options, ", ") .. ")"))
    end
  end
  if type(opts.verify) ~= "function" and opts.verify ~= "applied" then
    host.fail(string.format("remedy \"%s\" needs verify: a function that proves the effect, or \"applied\"", title))
  end
  if opts.when ~= nil and type(opts.when) ~= "function" then host.fail("remedy: when must be a function") end
  local on_failure = opts.on_failure or "undo"
  if not failures[on_failure] then
    host.fail(string.format("remedy \"%s\": on_failure is \"undo\", \"escalate\" or \"continue\"", title))
  end
  local within = units.duration(opts.within or "10m", "remedy: within")
  return {
    verify = opts.verify, when = opts.when, on_failure = on_failure, within = within,
    every = wait.every(opts.every, within, "remedy: every"),
    first_look = opts.first_look and units.duration(opts.first_look, "remedy: first_look"),
  }
end

local function read_effects(title, what)
  if face.effect_of(what) then return { face.effect_of(what) } end
  if type(what) ~= "table" or face.is_value(what) or #what == 0 then
    host.fail(string.format("remedy \"%s\" wants an effect or a list of effects, got %s", title, face.describe(what)))
  end
  local list = {}
  for i = 1, #what do
    list[i] = face.effect_of(what[i])
    if not list[i] then
      host.fail(string.format("remedy \"%s\": entry %d is %s, not an effect", title, i, face.describe(what[i])))
    end
  end
  return list
end

-- Plans every effect of the set, or ends the run with the refusal's name.
local function plan(title, list)
  local calls = {}
  for i, effect in ipairs(list) do
    calls[i] = { name = effect.name, instance = effect.instance, args = effect.request }
  end
  local plans = host.gate("plan", calls)
  for i, p in ipairs(plans) do
    if p.refused then
      ending.finish("escalated", p.refused, string.format("%s: %s: %s", title, list[i].text, p.why))
    end
    if p.unknown then
      ending.finish("escalated", "no_data", string.format("%s: the state of %s cannot be read: %s", title, p.target, p.why))
    end
  end
  return plans
end

local function all_already(plans)
  for _, p in ipairs(plans) do
    if not p.already then return false end
  end
  return true
end

-- The condition right before the first intent. Returns true to go on, or "skipped"; else ends the run.
local function may_go(title, opts, plans)
  local already = all_already(plans)
  if opts.when then
    local verdict, detail = prelude.look(opts.when)
    if verdict == "refuted" then
      ending.finish("escalated", "refuted", title .. ": its condition (when) does not hold any more")
    elseif verdict == "inconclusive" then
      ending.finish("escalated", "no_data", title .. ": its condition (when) cannot be told: " .. detail)
    end
  end
  if opts.verify == "applied" then return already and "skipped" or true end
  if not opts.when or already then
    local verdict, detail, window = observe.verifying(nil, opts.verify)
    opts.window = window
    if verdict == "holds" then return "skipped" end
    if verdict == "inconclusive" then
      ending.finish("escalated", "no_data", title .. ": whether it is needed cannot be told: " .. detail)
    end
  end
  if already then
    ending.finish("escalated", "already_so", title .. ": the wanted state is there already, and it does not help")
  end
  return true
end

-- Sends the set in its order. Returns what was applied and, if one stopped it, that answer.
local function send(title, list, plans)
  local applied, evidence = {}, observe.evidence()
  for i, p in ipairs(plans) do
    local answer = host.gate("apply", { { name = list[i].name, instance = list[i].instance, args = {
      args = list[i].request.args, from = p.from, to = p.to, target = p.target, title = title, remedy = number,
      evidence = evidence,
    } } })
    if answer.outcome == "applied" then
      applied[#applied + 1] = { effect = list[i], answer = answer }
      ending.state.sent = ending.state.sent + 1
      ending.state.unverified = ending.state.unverified + 1
    elseif answer.outcome ~= "already" then
      return applied, answer
    end
  end
  return applied
end

local function paths_of(applied)
  local paths = {}
  for i, a in ipairs(applied) do paths[i] = a.answer.path end
  return host.array(paths)
end

-- Puts the applied effects back, last first. Returns a text for people.
local function undo(title, applied)
  local words, ok = {}, true
  for i = #applied, 1, -1 do
    local a = applied[i]
    local answer = host.gate("undo", { { name = a.effect.name, instance = a.effect.instance,
      args = { effect = a.answer.path, title = title } } })
    if answer.outcome == "applied" or answer.outcome == "already" then
      ending.state.unverified = ending.state.unverified - 1
      words[#words + 1] = a.effect.text .. " was undone"
    elseif answer.outcome == "not_needed" then
      ending.state.unverified = ending.state.unverified - 1
      words[#words + 1] = a.effect.text .. " needs no undo"
    else
      ok = false
      words[#words + 1] = string.format("%s could NOT be undone (%s: %s)", a.effect.text, answer.outcome, answer.why or "")
    end
  end
  return table.concat(words, "; "), ok
end

local function verdict_row(title, verdict, why, applied)
  host.gate("verify", { { name = title, args = { verdict = verdict, why = why, effects = paths_of(applied) } } })
end

-- Waits for the proof. Returns holds | refuted | inconclusive and the reason.
local function prove(title, opts, applied)
  local since = applied[#applied].answer.at
  if opts.verify == "applied" then return "holds" end
  wait.begin("verify: " .. title, opts.within, opts.every)
  local deadline = since + opts.within * 1000
  local first_look = opts.first_look or opts.window
  if not first_look then
    -- With an explicit `when` nobody has seen yet which windows verify looks through.
    local _, _, window = observe.verifying(since, opts.verify)
    first_look = window
  end
  local pause = math.min(first_look, (deadline - host.now()) / 1000)
  if pause > 0 then wait.pause(pause) end
  return wait.until_holds(deadline, opts.every, function()
    local verdict, detail = observe.verifying(since, opts.verify)
    return verdict, verdict == "inconclusive" and detail or nil
  end)
end

local function stopped(title, answer)
  local reason = answer.refused or (answer.outcome == "unknown" and "unknown_effect") or
    (answer.outcome == "moved" and "moved") or "error"
  ending.finish("escalated", reason, string.format("%s: %s: %s", title, answer.outcome, answer.why or ""))
end

local function after_failure(title, opts, applied, verdict, why)
  if verdict == "inconclusive" then
    ending.finish("escalated", "unverified",
      title .. ": whether it helped cannot be told (" .. tostring(why) .. "); it is left as it is, its target stays locked")
  end
  if opts.on_failure == "escalate" then
    ending.finish("escalated", "unverified", title .. " did not help; it is left as it is, its target stays locked")
  end
  local words, undone = undo(title, applied)
  if opts.on_failure == "undo" or not undone then
    ending.finish("escalated", "unverified", title .. " did not help; " .. words)
  end
end

--- remedy(title, effect or list, { verify, within, every, first_look, when, on_failure })
local function remedy(title, what, opts)
  if type(title) ~= "string" or title == "" then host.fail("remedy wants a title first") end
  opts = read_options(title, opts)
  local list = read_effects(title, what)
  number = number + 1
  local plans = plan(title, list)
  if may_go(title, opts, plans) == "skipped" then
    ending.state.skipped = ending.state.skipped + 1
    host.gate("skip", { { name = title, args = { why = opts.verify == "applied" and "already so" or "recovered" } } })
    return { outcome = "skipped", result = "recovered" }
  end
  local applied, stop = send(title, list, plans)
  if #applied == 0 then
    if stop then stopped(title, stop) end
    ending.state.skipped = ending.state.skipped + 1
    return { outcome = "skipped", result = "already so" }
  end
  local verdict, why = prove(title, opts, applied)
  verdict_row(title, verdict, why, applied)
  if verdict ~= "holds" then
    after_failure(title, opts, applied, verdict, why)
    return { outcome = "failed", result = verdict }
  end
  ending.state.verified = ending.state.verified + #applied
  ending.state.unverified = ending.state.unverified - #applied
  if stop then stopped(title, stop) end
  return { outcome = "verified", result = applied[#applied].answer.state }
end

return { public = { remedy = remedy } }
