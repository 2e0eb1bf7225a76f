-- SPDX-License-Identifier: Apache-2.0
-- Where paths of a program may be compared (fork.at): between two statements of the chunk itself, also inside of `if`, `do` and
-- a loop whose turn is told by a local. What is behind a place depends on the locals that are named behind
-- it, and on those that a function has, which may be called from anywhere.

local walk = host.module("syntax_walk")

local join = {}

local LOCALS_MAX = 60

local last, captured, outer     -- variable -> place of its last use; -> true; variables of the chunk's own block
local found                     -- what places() returns
local ids

local function next_id()
  ids = ids + 1
  return ids
end

--- Places are in the order of the text only without goto; a global would be kept where nobody looks.
function join.is_safe(body)
  local safe = true
  walk.all(body, function(node)
    if node.k == "goto" or node.k == "label" then safe = false end
    for _, target in ipairs(node.k == "assign" and node.targets or { node.k == "define" and node.target or nil }) do
      if target.k == "name" and not target.var then safe = false end
    end
  end)
  return safe
end

local function read_uses(body)
  walk.all(body, function(node)
    if node.k == "name" and node.var then last[node.var] = math.max(last[node.var] or 0, node.at) end
    for var in host.rawpairs(node.k == "func" and node.upvalues or {}) do captured[var] = true end
  end)
  for _, node in ipairs(body) do
    for _, var in ipairs(node.k == "local" and node.vars or { node.var }) do outer[var] = true end
  end
end

-- A function whose variables are all the chunk's: one that comes from the same place is the same one.
local function name_function(func)
  for var in host.rawpairs(func.upvalues) do
    if not var.ambient and not outer[var] then return end
  end
  found.funcs[func] = next_id()
end

local loops = { ["while"] = true, ["repeat"] = true, ["for"] = true, each = true }

local function name_functions(statement)
  walk.node(statement, function(node, parent)
    if loops[node.k] then return false end
    if node.k ~= "func" then return true end
    if not parent or parent.k ~= "define" then name_function(node) end
    return false
  end)
end

-- The names of what is live behind `at`, or nil if one of them means another variable there.
local function live(visible, at)
  local names, now = {}, {}
  for i = 1, #visible do now[visible[i].name] = visible[i] end
  for i = 1, #visible do
    local var = visible[i]
    if captured[var] or (last[var] or 0) > at then
      if now[var.name] ~= var or #names == LOCALS_MAX then return nil end
      names[#names + 1] = var.name
    end
  end
  return names
end

--- Whether a node can fork, but for the functions in it.
function join.decides(statement)
  local found_one = false
  walk.node(statement, function(node)
    if node.k == "func" then return false end
    if node.k == "call" or node.k == "method" or node.k == "binary" or node.k == "index" then found_one = true end
  end)
  return found_one
end

-- The locals of a loop that tell its turn, and what it goes over: `for i, x in ipairs(list)`, `for i = 1, 3`. Nil for others.
local function turn_of(node)
  if node.k == "for" then
    local literal = node.from.k == "number" and node.limit.k == "number" and not node.step
    return literal and node.var.sets == 0 and { node.var } or nil
  end
  local call = node.k == "each" and #node.values == 1 and node.values[1]
  local over = call and walk.called(call) == "ipairs" and #call.args == 1 and call.args[1]
  if not over or over.k ~= "name" or not over.var or over.var.sets > 0 or node.vars[1].sets > 0 then return nil end
  last[node.vars[1]], last[over.var] = node.to, math.max(last[over.var], node.to)
  return node.vars
end

-- `again`: where the loop around begins, whose code may be run again.
local function block(body, around, again)
  local visible = {}
  for i = 1, #around do visible[i] = around[i] end
  for i, node in ipairs(body) do
    if node.k == "if" then
      for _, clause in ipairs(node.clauses) do block(clause.body, visible, again) end
      if node.otherwise then block(node.otherwise, visible, again) end
    elseif node.k == "block" then
      block(node.body, visible, again)
    elseif loops[node.k] and turn_of(node) then
      local inside = table.move(visible, 1, #visible, 1, {})
      for _, var in ipairs(turn_of(node)) do inside[#inside + 1] = var end
      block(node.body, inside, again or node.at)
    end
    for _, var in ipairs(node.k == "local" and node.vars or { node.k == "localfunc" and node.var or nil }) do
      visible[#visible + 1] = var
    end
    local names = i < #body and join.decides(node) and live(visible, again or node.to)
    if names then found.after[node] = { id = next_id(), names = names } end
  end
end

-- Variables of the chunk that its functions change.
local function watch(body)
  for _, node in ipairs(body) do
    local names = {}
    for _, var in ipairs(node.k == "local" and node.vars or {}) do
      if var.set_inside then names[#names + 1] = var.name end
    end
    if #names > 0 then found.watch[node] = names end
  end
end

--- True if a function assigns a variable that is watched.
function join.is_watched(var, body)
  for _, node in ipairs(body) do
    for _, own in ipairs(node.k == "local" and node.vars or {}) do
      if own == var then return true end
    end
  end
  return false
end

--- What lua/instrument.lua writes: { after = statement -> { id, names }, funcs = function -> id, watch = statement -> names };
-- nothing where it cannot be told.
function join.places(body)
  last, captured, outer, ids = {}, {}, {}, 0
  found = { after = {}, funcs = {}, watch = {} }
  if not join.is_safe(body) then return found end
  read_uses(body)
  for _, node in ipairs(body) do name_functions(node) end
  watch(body)
  block(body, {})
  return found
end

return join
