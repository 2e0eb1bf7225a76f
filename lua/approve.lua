-- SPDX-License-Identifier: Apache-2.0
-- Approvals: who must agree before a set of effects is sent. An approval binds to the effects as planned; if the
-- plan has changed when the yes comes, it is asked again with the new one.

local units = host.module("units")
local options = host.module("options")
local effects = host.module("effects")
local ending = host.module("ending")

local approve = {}

local known = { "by", "of", "within", "text", "once", "over" }
local DRIFTS_MAX = 3
local given = {}                -- once-key -> path of its approval

--- Reads the option `approve` of a remedy: nil (only if policy demands it), or { by, of, within, text, once, over }.
function approve.read(what, opt)
  if opt == nil or opt == false then return nil end
  if opt == true then opt = {} end
  options.check(what .. ": approve", opt, known)
  local by = type(opt.by) == "string" and { opt.by } or opt.by
  if by ~= nil and type(by) ~= "table" then host.fail(what .. ": approve.by is a name or a list of names") end
  for _, key in ipairs({ "text", "once" }) do
    if opt[key] ~= nil then options.text(what .. ": approve." .. key .. " must be a text", opt[key]) end
  end
  return {
    by = by, of = options.count(what .. ": approve.of", opt.of, 1, 1), text = opt.text, once = opt.once,
    within = units.duration(opt.within or "30m", what .. ": approve.within"),
    over = options.count(what .. ": approve.over", opt.over, 0, nil),
  }
end

local function shown(plans)
  local list = {}
  for i, p in ipairs(plans) do
    list[i] = { text = p.text, target = p.target, from = p.from, to = p.to, later = p.later, already = p.already or nil }
  end
  return host.array(list)
end

local function same(a, b)
  return host.encode(shown(a)) == host.encode(shown(b))
end

-- was: the plans of which the approval is void, because the target has changed meanwhile.
local function ask(title, rule, plans, was, remedy)
  local answer = host.gate("ask", { { name = title, args = {
    kind = "approval", choices = host.array({ "yes", "no" }), effects = shown(plans), by = rule.by and host.array(rule.by),
    of = rule.of, within = rule.within, text = rule.text, once = rule.once, why = effects.demanded(plans),
    changed = was and true or nil, was = was and shown(was), remedy = remedy,
  } } })
  if answer.answer == "yes" then return answer.path end
  if answer.answer == "no" then
    ending.finish("escalated", "denied", string.format("%s: not approved%s", title, answer.by and " by " .. answer.by or ""))
  end
  if answer.refused then ending.finish("escalated", answer.refused, string.format("%s: %s", title, answer.why)) end
  local reason = answer.why == "expired" and "expired" or "needs_approval"
  ending.finish("escalated", reason, string.format("%s: nobody approved it (%s)", title, answer.why))
end

local function mark(plans, path)
  for _, p in ipairs(plans) do p.approval = path end
end

--- True if plans, all or some of a set of `size` effects, must be approved before they are sent.
function approve.is_needed(rule, plans, size)
  if effects.demanded(plans) then return true end
  return rule ~= nil and size > (rule.over or 0) and not (rule.once and given[rule.once])
end

--- Asks until the answer is for the plan as it is. `replan` plans again; `remedy`: its number in the run. Returns the
-- plans to send. Ends the run if the answer is no, or none.
function approve.ask(title, rule, plans, replan, remedy)
  rule = rule or approve.read(title, true)
  if rule.once and given[rule.once] then
    mark(plans, given[rule.once])
    return plans
  end
  local was
  for _ = 1, DRIFTS_MAX do
    local path = ask(title, rule, plans, was, remedy)
    local now = replan and replan() or plans
    if same(plans, now) then
      mark(now, path)
      if rule.once then given[rule.once] = path end
      return now
    end
    was, plans = plans, now
  end
  ending.finish("escalated", "moved", title .. ": the target keeps changing while people are asked")
end

--- For all paths: keeps the approvals, and gives what brings them back.
function approve.keeper()
  local kept = {}
  for key, path in host.rawpairs(given) do kept[key] = path end
  return function()
    given = {}
    for key, path in host.rawpairs(kept) do given[key] = path end
  end
end

--- True if no approval counts for what comes.
function approve.is_plain() return next(given) == nil end

function approve.forget() given = {} end

return approve
