-- SPDX-License-Identifier: Apache-2.0
-- remedy: the only way to change anything to stay. Plan, ask, look again, send, prove, and undo if the proof fails:
--   plan -> policy -> approval -> when -> { intent -> apply -> result } per effect -> first_look -> verify -> done

local prelude = host.module("prelude")
local options = host.module("options")
local observe = host.module("observe")
local effects = host.module("effects")
local ending = host.module("ending")

local known = {
  "verify", "when", "skip_if", "within", "every", "first_look", "hold", "on_failure", "approve", "batch", "pause", "between",
  "stop_after_errors",
}
local failures = { undo = true, escalate = true, continue = true }

local function duration(d, what) return host.module("units").duration(d, what) end

-- The pause between two looks. What is proven by the state that is read back has no looks.
local function every(opts, within, what)
  if opts.every == nil and opts.verify == "applied" then return nil end
  return host.module("wait").every(opts.every, within, what .. "every")
end

local functions = { when = true, skip_if = true, between = true }
local counts = { batch = true, stop_after_errors = true }
local durations = { within = true, first_look = true, hold = true, pause = true }

-- `name` begins the messages. What is not given costs nothing.
local function read_options(name, opts)
  local what = name .. ": "
  options.check(name, opts or {}, known)
  if not opts or (type(opts.verify) ~= "function" and opts.verify ~= "applied") then
    host.fail(name .. " needs verify: a function that proves the effect, or \"applied\"")
  end
  local read = { verify = opts.verify, on_failure = opts.on_failure or "undo", within = 600, batch = 1, pause = 0,
    stop_after_errors = 1, approve = opts.approve and host.module("approve").read(name, opts.approve) or nil }
  if not failures[read.on_failure] then host.fail(what .. "on_failure is \"undo\", \"escalate\" or \"continue\"") end
  for key, value in pairs(opts) do
    if functions[key] then
      read[key] = options.func(what .. key, value)
    elseif counts[key] then
      read[key] = options.count(what .. key, value, 1)
    elseif durations[key] and value then
      read[key] = duration(value, what .. key)
    end
  end
  read.every = every(opts, read.within, what)
  return read
end

-- `when` and `skip_if`: what the runbook asks for before anything is sent.
local function asked_for(title, opts)
  if opts.skip_if then
    local verdict, detail = prelude.look(opts.skip_if)
    if verdict == "holds" then return "skip_if" end
    if verdict == "inconclusive" then
      ending.finish("escalated", "no_data", title .. ": its condition (skip_if) cannot be told: " .. detail)
    end
  end
  if opts.when then
    local verdict, detail = prelude.look(opts.when)
    if verdict == "refuted" then
      ending.finish("escalated", "refuted", title .. ": its condition (when) does not hold any more")
    elseif verdict == "inconclusive" then
      ending.finish("escalated", "no_data", title .. ": its condition (when) cannot be told: " .. detail)
    end
  end
end

-- The last look before the first intent. Returns why nothing is to be sent, or nil; may end the run.
local function unneeded(title, opts, plans)
  local skip, already = asked_for(title, opts), effects.all_already(plans)
  if skip then return skip end
  if opts.verify == "applied" then return already and "already so" or nil end
  if not opts.when or already then
    local verdict, detail, window = observe.verifying(nil, opts.verify)
    opts.window = window
    if verdict == "holds" then return "recovered" end
    if verdict == "inconclusive" then
      ending.finish("escalated", "no_data", title .. ": whether it is needed cannot be told: " .. detail)
    end
  end
  if already then
    ending.finish("escalated", "already_so", title .. ": the wanted state is there already, and it does not help")
  end
end

local function skipped(title, why)
  ending.state.skipped = ending.state.skipped + 1
  host.gate("skip", { { name = title, args = { why = why } } })
  return { outcome = "skipped", result = why }
end

-- It holds now: it must go on to hold for `hold` seconds. Returns what the look said that broke it, or "holds".
local function keeps_holding(opts, look)
  local till = host.now() + opts.hold * 1000
  while host.now() < till do
    host.module("wait").pause(math.min(opts.every, (till - host.now()) / 1000))
    local verdict, detail = look()
    if verdict ~= "holds" then return verdict, detail end
  end
  return "holds"
end

local function until_proven(deadline, opts, look)
  while true do
    local verdict, detail = host.module("wait").until_holds(deadline, opts.every, look)
    if verdict ~= "holds" or not opts.hold then return verdict, detail end
    verdict, detail = keeps_holding(opts, look)
    if verdict == "holds" or host.now() >= deadline then return verdict, detail end
  end
end

-- Waits for the proof. Returns holds | refuted | inconclusive and the reason.
local function prove(title, opts, applied)
  if opts.verify == "applied" then return "holds" end
  local since = applied[#applied].answer.at
  local wait = host.module("wait")
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
  return until_proven(deadline, opts, function()
    local verdict, detail = observe.verifying(since, opts.verify)
    return verdict, verdict == "inconclusive" and detail or nil
  end)
end

local function after_failure(title, opts, applied, verdict, why)
  if verdict == "inconclusive" then
    ending.finish("escalated", "unverified",
      title .. ": whether it helped cannot be told (" .. tostring(why) .. "); it is left as it is, its target stays locked")
  end
  if opts.on_failure == "escalate" then
    ending.finish("escalated", "unverified", title .. " did not help; it is left as it is, its target stays locked")
  end
  local text, undone = effects.undo(title, title .. " did not help; ", applied)
  if opts.on_failure == "undo" or not undone then
    ending.finish("escalated", "unverified", text)
  end
end

-- The plans that were approved, or nil: nobody need be asked. Drift is looked for where all are asked for at once.
local function ask(set, some)
  local opts, title = set.opts, set.title
  if not opts.approve and not effects.demanded(some) then return nil end
  local approve = host.module("approve")
  if not approve.is_needed(opts.approve, some, #set.list) then return nil end
  return approve.ask(title, opts.approve, some,
    some == set.plans and function() return effects.plan(title, set.list) end or nil, set.number)
end

-- Sends the approved set and proves it.
local function carry_out(title, opts, set)
  local applied, failed, stopped = effects.send(set)
  if #applied == 0 then
    if #failed > 0 then effects.stopped(title, failed[#failed]) end
    return skipped(title, "already so")
  end
  local verdict, why = prove(title, opts, applied)
  host.gate("verify", { { name = title, args = { verdict = verdict, why = why, effects = effects.paths(applied) } } })
  if verdict ~= "holds" then
    after_failure(title, opts, applied, verdict, why)
    return { outcome = "failed", result = verdict, failed = host.array(failed) }
  end
  effects.proven(applied)
  if stopped then effects.stopped(title, failed[#failed]) end
  return { outcome = "verified", result = applied[#applied].answer.state, failed = host.array(failed) }
end

--- remedy(title, effect or list, { verify, when, skip_if, within, every, first_look, hold, on_failure, approve, batch,
-- pause, between, stop_after_errors }): { outcome = "verified" | "skipped" | "failed", result, failed }.
local function remedy(title, what, opts)
  options.title("remedy wants a title first", title)
  local name = string.format("remedy \"%s\"", title)
  opts = read_options(name, opts)
  local list = effects.read(name, what)
  ending.state.remedies = ending.state.remedies + 1
  local set = { title = title, number = ending.state.remedies, list = list, plans = effects.plan(title, list), approve = ask,
    opts = opts }
  local why = unneeded(title, opts, set.plans)
  if why then return skipped(title, why) end
  local approved = ask(set, set.plans)
  if approved then
    set.plans = approved
    why = unneeded(title, opts, approved)
    if why then return skipped(title, why) end
  end
  return carry_out(title, opts, set)
end

return { public = { remedy = remedy } }
