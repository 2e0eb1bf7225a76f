-- SPDX-License-Identifier: Apache-2.0
-- temporarily: a change for a while. It is put back when its function returns, fails or ends the run, and by the
-- host at its deadline, when the run is cut short and after a crash.

local units = host.module("units")
local options = host.module("options")
local effects = host.module("effects")
local approve = host.module("approve")
local ending = host.module("ending")

local known = { "within", "approve" }

local function check_undo(title, plans)
  for _, p in ipairs(plans) do
    if p.undo == "irreversible" then
      host.fail(string.format("temporarily \"%s\": %s cannot be undone", title, p.text))
    end
  end
end

-- Applies the set, or ends the run with what kept it from that.
local function begin(title, set)
  local applied, failed = effects.send(set)
  if #applied > 0 then
    host.gate("verify", { { name = title, args = { verdict = "holds", why = "for a while", effects = effects.paths(applied) } } })
    effects.proven(applied)
  end
  return applied, failed[1]
end

-- Puts it back once.
local function back(title, applied) return effects.undo(title, title .. " is still in force: ", applied, true) end

local function temporarily(title, what, opts, fn)
  options.title("temporarily wants a title first", title)
  local name = string.format("temporarily \"%s\"", title)
  options.check(name, opts, known)
  if opts.within == nil then host.fail(name .. ": say how long at most: { within = \"10m\" }") end
  if type(fn) ~= "function" then host.fail(name .. " wants a function last") end
  local within, rule = units.duration(opts.within, name .. ": within"), approve.read(name, opts.approve)
  local list = effects.read(name, what)
  ending.state.remedies = ending.state.remedies + 1
  local number, plans = ending.state.remedies, effects.plan(title, list)
  local function ask(_, some, replan)
    check_undo(title, some)
    return approve.is_needed(rule, some, #list) and approve.ask(title, rule, some, replan, number) or nil
  end
  plans = ask(nil, plans, function() return effects.plan(title, list) end) or plans
  local applied, stop = begin(title, { title = title, number = number, list = list, plans = plans, within = within,
    approve = ask, opts = { batch = 1, pause = 0, stop_after_errors = 1 } })
  local forget = ending.before_the_end(function() back(title, applied) end)
  if stop then effects.stopped(title, stop) end
  local ok, result = host.pcall(fn)
  forget()
  local text, undone, refused = back(title, applied)
  if not undone then ending.finish("escalated", refused, text) end
  if not ok then host.error(result) end
  return result
end

return { public = { temporarily = temporarily } }
