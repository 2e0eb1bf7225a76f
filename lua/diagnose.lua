-- SPDX-License-Identifier: Apache-2.0
-- Hypotheses and the diagnosis: all are tested, the first supported one in the order of
-- likelihood x impact is the cause, and what is not known is never taken for refuted.

local prelude = host.module("prelude")
local observe = host.module("observe")
local ending = host.module("ending")

local weight = { high = 3, medium = 2, low = 1 }
local fields = { "likelihood", "impact", "evidence", "test" }
local hypotheses = host.weak()  -- proxy -> data
local NONE = host.readonly({ title = "none of the hypotheses" }, "NONE")

local function grade(title, spec, field)
  local word = spec[field] == nil and "medium" or spec[field]
  if not weight[word] then
    host.fail(string.format("hypothesis \"%s\": %s is high, medium or low, not %s", title, field, tostring(word)))
  end
  return word
end

local function check_fields(title, spec)
  for key in pairs(spec) do
    local known = false
    for i = 1, #fields do known = known or fields[i] == key end
    if not known then
      local near = host.nearest(tostring(key), fields)
      host.fail(string.format("hypothesis \"%s\" has no field '%s'%s", title, tostring(key),
        near and " (did you mean '" .. near .. "'?)" or " (there is: likelihood, impact, evidence, test)"))
    end
  end
  if type(spec.test) ~= "function" then host.fail(string.format("hypothesis \"%s\": test must be a function", title)) end
end

--- hypothesis "title" { likelihood, impact, evidence = {names}, test = function }
local function hypothesis(title)
  if type(title) ~= "string" or title == "" or #title > 1000 then host.fail("hypothesis wants a title (at most 1000 bytes)") end
  return function(spec)
    if type(spec) ~= "table" then host.fail(string.format("hypothesis \"%s\" wants a table", title)) end
    check_fields(title, spec)
    local wanted = {}
    for _, name in ipairs(spec.evidence or {}) do wanted[name] = true end
    local likelihood, impact = grade(title, spec, "likelihood"), grade(title, spec, "impact")
    local proxy = host.readonly({ title = title, likelihood = likelihood, impact = impact }, "a hypothesis")
    hypotheses[proxy] = {
      title = title, likelihood = likelihood, impact = impact, wanted = wanted, test = spec.test,
      priority = weight[likelihood] * weight[impact],
    }
    return proxy
  end
end

local function test(h)
  local before = observe.set_aside()
  local verdict, why = prelude.look(h.test)
  local consulted = observe.set_aside()
  observe.add_named(consulted, h.wanted)
  if verdict == "holds" then verdict = "supported" end
  host.gate("verdict", { { name = h.title, args = { verdict = verdict, why = verdict == "inconclusive" and why or nil,
    likelihood = h.likelihood, impact = h.impact, evidence = observe.listed(consulted) } } })
  observe.keep(before)
  observe.keep(consulted)
  return verdict, why
end

local function in_order(list)
  local order = {}
  for i = 1, #list do
    local h = hypotheses[list[i]]
    if not h then host.fail(string.format("diagnose: entry %d is not a hypothesis", i)) end
    order[i] = { proxy = list[i], h = h }
  end
  prelude.sort(order, function(a, b) return a.h.priority > b.h.priority end)
  return order
end

--- diagnose { h1, h2, ..., accept_inconclusive = false }: the first supported hypothesis, or NONE.
local function diagnose(list)
  if type(list) ~= "table" or #list == 0 then host.fail("diagnose wants a list of hypotheses") end
  local order, found, unknown = in_order(list), nil, {}
  for _, entry in ipairs(order) do
    local verdict, why = test(entry.h)
    if verdict == "supported" and not found then found = entry end
    if verdict == "inconclusive" and not (found and entry.h.priority <= found.h.priority) then
      unknown[#unknown + 1] = entry.h.title .. ": " .. tostring(why)
    end
  end
  local blocked = #unknown > 0 and not (found and list.accept_inconclusive)
  local name = blocked and "inconclusive" or found and found.h.title or "none"
  host.gate("cause", { { name = name, args = { inconclusive = host.array(unknown) } } })
  if blocked then
    ending.finish("escalated", "inconclusive_cause", "the cause cannot be told: " .. table.concat(unknown, "; "))
  end
  return found and found.proxy or NONE
end

--- For all paths.
local function forget() hypotheses = host.weak() end

-- The data of a hypothesis, or nil.
local function of(v) return hypotheses[v] end

return { forget = forget, of = of, public = { hypothesis = hypothesis, diagnose = diagnose, NONE = NONE } }
