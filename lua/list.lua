-- SPDX-License-Identifier: Apache-2.0
-- Helpers over lists of values or records; they never change their argument.

local prelude = host.module("prelude")

local list = {}

local function check(verb, l)
  if type(l) ~= "table" then host.fail(string.format("list.%s wants a list, got a %s", verb, type(l))) end
  return l
end

-- A condition is a function, or a table of field = value that all must be equal.
local function condition(verb, c)
  if type(c) == "function" then return c end
  if type(c) ~= "table" then host.fail(string.format("list.%s wants a function or { field = value }", verb)) end
  return function(item)
    for k, v in pairs(c) do
      if item[k] ~= v then return false end
    end
    return true
  end
end

--- list.where(l, condition): those for which it is true.
function list.where(l, c)
  local holds, out = condition("where", c), {}
  for _, item in ipairs(check("where", l)) do
    if holds(item) then out[#out + 1] = item end
  end
  return host.array(out)
end

--- list.count(l, condition?): how many.
function list.count(l, c)
  if c == nil then return #check("count", l) end
  return #list.where(l, c)
end

--- list.by(l, field): sorted by a field, ascending, stable.
function list.by(l, field)
  local out = {}
  for i, item in ipairs(check("by", l)) do out[i] = item end
  prelude.sort(out, function(a, b) return a[field] < b[field] end)
  return host.array(out)
end

--- list.first(l): the first entry; an empty list is inconclusive, not nil.
function list.first(l)
  if #check("first", l) == 0 then prelude.inconclusive("list.first", "no_data", "the list is empty") end
  return l[1]
end

--- list.top(l, n, field): the n highest by a field, highest first.
function list.top(l, n, field)
  local sorted = {}
  for i, item in ipairs(check("top", l)) do sorted[i] = item end
  prelude.sort(sorted, function(a, b) return a[field] > b[field] end)
  local out = {}
  for i = 1, math.min(n, #sorted) do out[i] = sorted[i] end
  return host.array(out)
end

--- list.map(l, fn or field): a new list.
function list.map(l, fn)
  local out = {}
  for i, item in ipairs(check("map", l)) do
    if type(fn) == "function" then out[i] = fn(item) else out[i] = item[fn] end
  end
  return host.array(out)
end

--- list.names(l): the field `name` of each.
function list.names(l) return list.map(check("names", l), "name") end

--- list.contains(l, value)
function list.contains(l, value)
  for _, item in ipairs(check("contains", l)) do
    if item == value then return true end
  end
  return false
end

return list
