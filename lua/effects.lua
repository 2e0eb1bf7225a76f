-- SPDX-License-Identifier: Apache-2.0
-- A set of effects: what each would do, sending them in their order, putting them back. The life of one
-- effect between its plan and its outcome is the host's; whether to send at all is the caller's. The data of an
-- effect are the call that plans it, with its text.

local prelude = host.module("prelude")
local face = host.module("face")
local observe = host.module("observe")
local ending = host.module("ending")
local state = ending.state

local effects = {}

--- The effects of a set: one, or a list. A function in a list is planned later: it is called with what was done
-- so far, a list of { text, outcome, state }, and returns the effect.
function effects.read(what, given)
  local effect = face.effect_of(given)
  if effect then return { effect } end
  if type(given) ~= "table" or face.is_value(given) or #given == 0 then
    host.fail(string.format("%s wants an effect or a list of effects, got %s", what, face.describe(given)))
  end
  local list = {}
  for i = 1, #given do
    list[i] = type(given[i]) == "function" and given[i] or face.effect_of(given[i])
    if not list[i] then host.fail(string.format("%s: entry %d is %s, not an effect", what, i, face.describe(given[i]))) end
  end
  return list
end

-- Why a planned effect may not be sent, as an answer that stops a set; nil = it may.
local function problem(p)
  if p.refused then return { outcome = "refused", refused = p.refused, why = p.why } end
  if p.unknown then
    return { outcome = "refused", refused = "no_data", why = "the state of " .. p.target .. " cannot be read: " .. p.why }
  end
end

--- Plans what can be planned now; ends the run if one of them is refused. A plan is { from, to, target, already,
-- needs_approval, ... }, or { later = true }.
function effects.plan(title, list)
  local calls, plans = {}, {}
  for i = 1, #list do
    local effect = list[i]
    if type(effect) ~= "function" then calls[#calls + 1] = effect end
  end
  local answers, n = #calls > 0 and host.gate("plan", calls) or nil, 0
  for i = 1, #list do
    local effect = list[i]
    if type(effect) == "function" then
      plans[i] = { later = true, text = "planned later" }
    else
      n = n + 1
      local p = answers[n]
      local stop = problem(p)
      if stop then
        ending.finish("escalated", stop.refused, string.format("%s: %s: %s", title, effect.text, stop.why))
      end
      p.text = effect.text
      plans[i] = p
    end
  end
  return plans
end

--- Why policy wants one of them approved, or nil.
function effects.demanded(plans)
  for i = 1, #plans do
    local p = plans[i]
    if p.needs_approval and not p.already then return p.needs_approval end
  end
end

--- True if every effect of the set is there already.
function effects.all_already(plans)
  for i = 1, #plans do
    if not plans[i].already then return false end
  end
  return true
end

-- The effect of a function, planned at its turn. Returns effect, plan, or nil, nil, what stops it.
local function plan_now(title, fn, done)
  local effect = face.effect_of(fn(host.array(done)))
  if not effect then host.fail(title .. ": a function in the list of effects must return an effect") end
  local p = host.gate("plan", { effect })[1]
  p.text = effect.text
  local stop = problem(p)
  if stop then return nil, nil, stop end
  return effect, p
end

-- `follows`: the effects of the set that have changed the target since it was planned.
local function apply(set, effect, p, evidence, follows)
  ending.unless_begun()
  state.in_flight = state.in_flight + 1
  local answer = host.gate("apply", { { name = effect.name, instance = effect.instance, args = {
    args = effect.args.args, from = p.from, to = p.to, target = p.target, title = set.title, remedy = set.number,
    evidence = evidence, approval = p.approval, within = set.within, follows = follows and host.array(follows),
  } } })
  state.in_flight = state.in_flight - 1
  return answer
end

-- Between two batches: the pause, and the check that must hold.
local function between(opts)
  if opts.pause > 0 then host.module("wait").pause(opts.pause) end
  if not opts.between then return nil end
  local verdict, detail = prelude.look(opts.between)
  if verdict == "holds" then return nil end
  return { outcome = verdict, refused = verdict == "refuted" and "refuted" or "no_data",
    why = detail or "the check between two batches does not hold" }
end

-- What one effect came to: its answer, or what kept it from being sent. `changed`: target -> paths of applied effects.
local function one(set, i, evidence, done, changed)
  local effect, p = set.list[i], set.plans[i]
  local follows = not p.later and changed[p.target] or nil
  if p.later then
    local stop
    effect, p, stop = plan_now(set.title, effect, done)
    if stop then return stop, "planned later" end
    if set.approve then set.approve(set, { p }) end
  end
  local answer = apply(set, effect, p, evidence, follows)
  if answer.outcome == "applied" then
    local paths = changed[p.target]
    if paths then paths[#paths + 1] = answer.path else changed[p.target] = { answer.path } end
  end
  done[#done + 1] = { text = effect.text, outcome = answer.outcome, state = answer.state }
  return answer, effect.text, effect
end

--- Sends a set { title, number, list, plans, approve, within, opts } in its order; opts: batch, pause, between,
-- stop_after_errors; approve(set, plans) asks for what is planned late. Returns what was applied, the answers that failed,
-- and whether they stopped the rest.
function effects.send(set)
  local applied, failed, done, changed, evidence = {}, {}, {}, {}, observe.listed(observe.set_aside())
  for i = 1, #set.list do
    if i > 1 and (i - 1) % set.opts.batch == 0 then
      local stop = between(set.opts)
      if stop then
        failed[#failed + 1] = stop
        return applied, failed, true
      end
    end
    local answer, text, effect = one(set, i, evidence, done, changed)
    if answer.outcome == "applied" then
      applied[#applied + 1] = { effect = effect, answer = answer }
      state.sent = state.sent + 1
      state.unverified = state.unverified + 1
    elseif answer.outcome ~= "already" then
      failed[#failed + 1] = { outcome = answer.outcome, refused = answer.refused, why = answer.why, text = text }
      if #failed >= set.opts.stop_after_errors then return applied, failed, true end
    end
  end
  return applied, failed, false
end

--- The paths of applied effects, for a row.
function effects.paths(applied)
  local paths = {}
  for i = 1, #applied do paths[i] = applied[i].answer.path end
  return host.array(paths)
end

--- Counts applied effects as proven.
function effects.proven(applied)
  state.verified = state.verified + #applied
  state.unverified = state.unverified - #applied
end

--- Puts applied effects back, last first. Returns a text for people that begins with `lead`, and whether all is as
-- before; if not, the refusal's name, and the caller ends the run with the text.
function effects.undo(title, lead, applied, were_proven)
  local text, left = lead, nil
  for i = #applied, 1, -1 do
    local a = applied[i]
    local answer = host.gate("undo", { { name = a.effect.name, instance = a.effect.instance,
      args = { effect = a.answer.path, title = title } } })
    if answer.outcome == "applied" or answer.outcome == "already" or answer.outcome == "not_needed" then
      if not were_proven then state.unverified = state.unverified - 1 end
      text = text .. a.effect.text .. (answer.outcome == "not_needed" and " needs no undo" or " was undone")
    else
      text = string.format("%s%s could NOT be undone (%s: %s)", text, a.effect.text, answer.outcome, answer.why or "")
      if not left then
        left = {}
        ending.report(left)
      end
      left.reason = answer.refused or (answer.outcome == "moved" and "moved") or "error"
    end
    if left then left.text = text end
    text = i > 1 and text .. "; " or text
  end
  if left then ending.retract(left) end
  return text, left == nil, left and left.reason
end

--- Ends the run because of an answer that stopped a set.
function effects.stopped(title, answer)
  local reason = answer.refused or (answer.outcome == "moved" and "moved") or "error"
  ending.finish("escalated", reason, string.format("%s: %s%s: %s", title, answer.text and answer.text .. " " or "",
    answer.outcome, answer.why or ""))
end

return effects
