-- SPDX-License-Identifier: Apache-2.0
-- The functions that a program in its checked form (lua/instrument.lua) calls. A value that is no symbol is treated as the
-- plain instruction would: same result, same error at the same line. A symbol goes to the explorer.

local steps = host.module("steps")

local pcall, raise = host.pcall, host.error

local checked = {}

local symbols = {}          -- value -> true, of the explorer
local explorer              -- { truth, compare, equal, join, key, call, bound }

--- From now on values in `set` are symbols and `by` decides what they are.
function checked.explore(set, by) symbols, explorer = set, by end

local less = function(a, b) return a < b end
local less_equal = function(a, b) return a <= b end

-- What the compiler puts in front of an error that is raised in this file.
local _, own = pcall(less, nil, nil)
local own_place = string.sub(own, 1, (string.find(own, "attempt", 1, true)) - 1)

-- Raises an error of this file as one of the program.
local function pass_on(e, line)
  if type(e) == "string" then
    local at = string.find(e, "attempt to ", 1, true)
    local place = at and string.sub(e, 1, at - 1)
    if place and (place == own_place or string.match(place, "^checked:%d+: $")) then
      local chunk, here = host.where()
      e = chunk .. ":" .. (line or here) .. ": " .. string.sub(e, at)
    end
  end
  raise(e, 0)
end

local function order(f, a, b, line)
  local ok, result = pcall(f, a, b)
  if not ok then pass_on(result, line) end
  return result
end

local ordered = { number = true, string = true }

local ops = {}

function ops.lt(a, b, line)
  if symbols[a] or symbols[b] then return explorer.compare("<", a, b) end
  local kind = type(a)
  if kind == type(b) and ordered[kind] then return a < b end
  return order(less, a, b, line)
end

function ops.le(a, b, line)
  if symbols[a] or symbols[b] then return explorer.compare("<=", a, b) end
  local kind = type(a)
  if kind == type(b) and ordered[kind] then return a <= b end
  return order(less_equal, a, b, line)
end

function ops.gt(a, b, line)
  if symbols[a] or symbols[b] then return explorer.compare(">", a, b) end
  return ops.lt(b, a, line)
end

function ops.ge(a, b, line)
  if symbols[a] or symbols[b] then return explorer.compare(">=", a, b) end
  return ops.le(b, a, line)
end

function ops.eq(a, b)
  if symbols[a] or symbols[b] then return explorer.equal(a, b) end
  return a == b
end

function ops.ne(a, b)
  if symbols[a] or symbols[b] then return not explorer.equal(a, b) end
  return a ~= b
end

-- Without a name that an error would tell.
local function glue(...) return (...) .. (select(2, ...)) end

local function name_of(names, wanted)
  local k = 0
  for name in string.gmatch(names .. "\0", "([^\0]*)\0") do
    k = k + 1
    if k == wanted then return name ~= "" and " (" .. name .. ")" or "" end
  end
end

--- Texts, one behind another. An error tells the line and which of the names it is about.
function ops.cat(line, names, ...)
  local values, n = { ... }, select("#", ...)
  local text = values[n]
  for i = n - 1, 1, -1 do
    local left = values[i]
    if symbols[left] or symbols[text] then
      text = explorer.join(left, text)
    elseif ordered[type(left)] and ordered[type(text)] then
      text = left .. text
    else
      local _, e = pcall(glue, left, text)
      pass_on(e .. name_of(names, ordered[type(left)] and n or i), line)
    end
  end
  return text
end

--- A value that is asked whether it is true: a symbol is false, or itself (which is true) from there on.
function ops.t(a)
  if symbols[a] then return explorer.truth(a) end
  return a
end

--- A computed key.
function ops.key(a)
  if symbols[a] then return explorer.key(a) end
  return a
end

--- A bound of a numeric for.
function ops.bound(a)
  if symbols[a] then return explorer.bound(a) end
  return a
end

-- Errors of a C function that pcall calls have no place and do not know its name. `plain`: no code of the program ran
-- inside, so the error is the function's own; what the machine says inside of it ("attempt to compare") has no place.
local function finished(name, plain, ...)
  local ok, e = ...
  if ok then return select(2, ...) end
  if type(e) == "string" then
    local unnamed = string.find(e, "^bad argument #%d+ to '%?'")
    local placed = string.find(e, "^[^\n]+:%d+: ") or string.find(e, "^attempt to ")
    if unnamed or (not placed and (plain or string.find(e, "' to '" .. name .. "'", 1, true))) then
      local chunk, line = host.where()
      if unnamed then e = string.gsub(e, "'%?'", function() return "'" .. name .. "'" end, 1) end
      e = chunk .. ":" .. line .. ": " .. e
    end
  end
  raise(e, 0)
end

--- A call of a library function.
function ops.call(f, name, ...)
  local plain = true
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if symbols[value] then return explorer.call(name, f, ...) end
    if type(value) == "function" or (type(value) == "table" and getmetatable(value) ~= nil) then plain = false end
  end
  return finished(name, plain, pcall(f, ...))
end

--- All of its arguments: makes a call that is returned no tail call, so that the place of an error is still there.
function ops.all(...) return ... end

--- A function of the program and where it comes from; between two statements, with the locals that count from there on.
function ops.fn(_, f) return f end
function ops.at() end
--- What gives the variables that functions of the program change, and what sets them.
function ops.watch() end


--- A program as steps; variables and tables that are about to change (lua/instrument_steps.lua).
ops.run, ops.done = steps.run, steps.done
function ops.keep() end
function ops.save(...) return ... end

--- Others in the place of these.
function checked.replace(others)
  for name, f in host.rawpairs(others) do checked.ops[name] = f end
end

checked.ops = ops

return checked
