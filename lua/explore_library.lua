-- SPDX-License-Identifier: Apache-2.0
-- Functions of the language in the form that they have while all paths are followed: what they give for symbols is one
-- question, however they compute it.

local setup = ...
local fork = host.module("fork")
local undo = host.module("undo")
local symbols = host.module("symbols")
local shape = host.module("symbols_shape")
local prelude = host.module("prelude")

-- Two of many are gone through.
local branches = host.module("branches").public
local real_each = branches.each
function branches.each(list, ...)
  local data = type(list) == "table" and shape.of(list)
  if not data or data.count ~= 2 then return real_each(list, ...) end
  local some = {}
  for i = 1, rawlen(list) do some[i] = rawget(list, i) end
  return real_each(host.array(some), ...)
end

local function new_table() return {} end

-- What was unknown at the end of a wait is not asked for once more.
local wait = host.module("wait").public
local real_until = wait.wait_until
function wait.wait_until(title, opts, fn)
  if type(fn) ~= "function" or setup.is_plan then return real_until(title, opts, fn) end
  local last = fork.same(new_table)
  return real_until(title, opts, function()
    if last.unknown then host.error(last.unknown, 0) end
    local ok, result = fork.pcall(fn)
    if ok then return result end
    if prelude.is_inconclusive(result) then undo.set(last, "unknown", result) end
    host.error(result, 0)
  end)
end

-- How long the first look waits for a window that is not known: its shortest.
local observe = host.module("observe")
local real_verifying = observe.verifying
function observe.verifying(since_ms, fn)
  local verdict, detail, window = real_verifying(since_ms, fn)
  if symbols.of(window) then window = math.max((symbols.interval(window)), 0) end
  return verdict, detail, window
end

-- What two variants are judged by: { op, symbols in them }; `o` as the code has it, for a witness. texts: how those are called
-- that are not computed.
local function gather(v, expr, texts)
  local data = symbols.of(v)
  if data then
    expr[#expr + 1] = v
    if not data.var.expr then texts[#texts + 1] = data.text end
  elseif type(v) == "table" then
    for _, x in pairs(v) do gather(x, expr, texts) end
  end
end

local stats = host.module("stats").public.stats
local real_judge = stats.judge
function stats.judge(o)
  local expr, texts = { op = "judge", o = o }, {}
  gather(o, expr, texts)
  if #expr == 0 then return real_judge(o) end
  for i = 1, #texts == 0 and #expr or 0 do texts[i] = symbols.spell(expr[i]) end
  local of = "(" .. table.concat(texts, ", ") .. ")"
  local verdict = symbols.compute("string", "judged" .. of, expr)
  symbols.of(verdict).var.words = { "worse", "no worse", "undecided" }
  local out = { verdict = verdict }
  for _, name in ipairs { "worse", "no_worse" } do
    expr = { op = "judge_" .. name, verdict }
    out[name] = symbols.compute("number", name .. of, expr, { lo = 0 })
  end
  for _, name in ipairs { "baseline", "canary" } do
    out[name] = symbols.compute("number", "rate of " .. name .. of, { op = "judge_" .. name, verdict }, { lo = 0, hi = 1 })
  end
  return out
end

return {}
