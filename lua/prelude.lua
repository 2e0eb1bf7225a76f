-- SPDX-License-Identifier: Apache-2.0
-- The ground of the language: errors that carry their place, `try`, a stable sort, three-valued
-- conditions. Everything here is pure; nothing passes the gate.

local pcall, raise = host.pcall, host.error

local prelude = {}

--- The error value of an observation that is not known. It goes through `try` and ends a run
-- that does not handle it; it never counts as true or as false.
function prelude.inconclusive(name, unknown, why)
  local chunk, line = host.where()
  raise({ kind = "inconclusive", name = name, unknown = unknown, why = why, chunk = chunk, line = line })
end

--- True if `e` was raised by prelude.inconclusive.
function prelude.is_inconclusive(e)
  return type(e) == "table" and rawget(e, "kind") == "inconclusive"
end

--- Text of an error value, without running code of the runbook.
function prelude.message(e)
  if type(e) == "string" then return e end
  if prelude.is_inconclusive(e) then
    return string.format("%s is unknown (%s)%s", e.name, e.unknown, e.why and ": " .. e.why or "")
  end
  if type(e) == "number" or type(e) == "boolean" then return tostring(e) end
  return "an error value of type " .. type(e)
end

--- try(fn): true and its first result, or false and a message. Endings and inconclusive pass through.
function prelude.try(fn)
  if type(fn) ~= "function" then host.fail("try wants a function, got " .. type(fn)) end
  local ok, result = pcall(fn)
  if ok then return true, result end
  if prelude.is_inconclusive(result) then raise(result) end
  return false, prelude.message(result)
end

--- Calls fn and answers "holds" with its value, "refuted", or "inconclusive" with the reason.
-- Ordinary errors pass through: a broken check is an error, not an answer.
function prelude.look(fn)
  local ok, result = pcall(fn)
  if ok then
    if result then return "holds", result end
    return "refuted"
  end
  if prelude.is_inconclusive(result) then return "inconclusive", prelude.message(result) end
  raise(result)
end

local function conditions(what, list)
  if type(list) ~= "table" or #list == 0 then host.fail(what .. " wants a list of functions") end
  for i = 1, #list do
    if type(list[i]) ~= "function" then
      host.fail(string.format("%s: entry %d is a %s, not a function", what, i, type(list[i])))
    end
  end
end

-- Looks at all; `decisive` is the answer that beats an unknown one.
local function three_valued(what, list, decisive)
  conditions(what, list)
  local unknown
  for i = 1, #list do
    local ok, result = pcall(list[i])
    if not ok then
      if not prelude.is_inconclusive(result) then raise(result) end
      unknown = unknown or result
    elseif (result and true or false) == decisive then
      return true
    end
  end
  if unknown then raise(unknown) end
  return false
end

--- any{f, ...}: true if one is known to be true; inconclusive if none is and one is unknown.
function prelude.any(list) return three_valued("any", list, true) end

--- all{f, ...}: false if one is known to be false; inconclusive if none is and one is unknown.
function prelude.all(list) return not three_valued("all", list, false) end

--- none{f, ...}: the opposite of any.
function prelude.none(list) return not three_valued("none", list, true) end

local function less(a, b) return a < b end

local function merge(list, spare, from, middle, to, before)
  local i, j = from, middle + 1
  for k = from, to do
    if j > to or (i <= middle and not before(list[j], list[i])) then
      spare[k], i = list[i], i + 1
    else
      spare[k], j = list[j], j + 1
    end
  end
  for k = from, to do list[k] = spare[k] end
end

local function merge_sort(list, n, before)
  local spare, width = {}, 1
  while width < n do
    for from = 1, n - width, 2 * width do
      merge(list, spare, from, from + width - 1, math.min(from + 2 * width - 1, n), before)
    end
    width = 2 * width
  end
end

--- table.sort: stable, the same on every machine. A verb inside the comparison is an error.
function prelude.sort(list, before)
  if type(list) ~= "table" then host.fail("table.sort wants a table, got " .. type(list)) end
  if before ~= nil and type(before) ~= "function" then host.fail("table.sort: the order is not a function") end
  local outer = host.forbid("inside table.sort")
  local ok, e = pcall(merge_sort, list, #list, before or less)
  host.forbid(outer)
  if not ok then raise(e) end
end

return prelude
