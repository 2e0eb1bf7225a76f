-- SPDX-License-Identifier: Apache-2.0
-- A program as steps (lua/steps.lua): between two statements of the chunk, also inside of `if` and of loops whose turn is told by
-- a local, the search can come back and go on. A step gets the locals that are visible and gives those that are visible behind
-- it. Locals that a function has and that are assigned again are declared in front of all steps, and what is changed of a table
-- is noted before, so that it can be taken back. A program that keeps what cannot be taken back is no steps.

local walk = host.module("syntax_walk")
local join = host.module("instrument_join")

local steps = {}

local VISIBLE_MAX = 60

local changers = { ["table.insert"] = true, ["table.remove"] = true, ["table.move"] = true, ["table.sort"] = true }
-- What gives functions that remember where they are, and what changes tables otherwise.
local hidden = { gmatch = true, pairs = true, codes = true, setmetatable = true, rawset = true, _ENV = true, _G = true,
  load = true }

local plain = { number = true, string = true, ["nil"] = true, ["true"] = true, ["false"] = true, func = true }

local text
local fine                      -- false: the program cannot be taken back
local captured, named           -- variable -> a function has it; name -> how many variables and globals have it
local allowed                   -- nodes of `hidden`, and of the table library, where they do no harm
local declared                  -- variables that are declared by a statement of a step
local turning                   -- how many loops there are, one inside of the other
local found                     -- what of() returns

local function give_up() fine = false end

-- An expression that may be read twice: a.b.c
local function is_path(node)
  if node.k == "name" then return node.var ~= nil end
  return node.k == "index" and node.dotted and is_path(node.object)
end

local function note_saves(node)
  local list = {}
  for _, target in ipairs(node.targets) do
    if target.k == "index" then
      local path = string.sub(text, target.object.at, target.object.to)
      if not is_path(target.object) or string.find(path, "\n", 1, true) then return give_up() end
      list[#list + 1] = path
    end
  end
  if #list > 0 then found.saves[node] = list end
end

-- A local that a function assigns is read by the machine when the instruction runs, one that is declared in front before the
-- other operand.
local function is_read_late(node, other)
  node, other = walk.bare(node), walk.bare(other)
  return node.k == "name" and node.var and node.var.set_inside and not node.outer and other.k ~= "name" and not plain[other.k]
end

local visit = {}

function visit.assign(node)
  note_saves(node)
  for _, target in ipairs(node.targets) do
    for _, value in ipairs(node.values) do
      if target.k == "index" and is_read_late(target.object, value) then give_up() end
    end
  end
end

function visit.binary(node) if is_read_late(node.left, node.right) then give_up() end end
function visit.define(node) if node.target.k ~= "name" then give_up() end end
visit["goto"], visit.label = give_up, give_up

function visit.each(node)
  local call = #node.values == 1 and node.values[1]
  if call and (call.k == "call" or call.k == "method") then allowed[call.func or call] = true end
end

function visit.call(node)
  if changers[walk.called(node) or ""] then
    allowed[node.func], found.changes[node] = true, true
  end
end

function visit.method(node) if hidden[node.name] and not allowed[node] then give_up() end end

function visit.index(node)
  local object = walk.bare(node.object)
  if is_read_late(object, node.key) then give_up() end
  if node.key.k == "string" and hidden[node.key.value] and not allowed[node] then give_up() end
  if object.k ~= "name" or object.var or object.name ~= "table" then return end
  allowed[object] = true
  if node.key.k ~= "string" or (changers["table." .. node.key.value] and not allowed[node]) then give_up() end
end

function visit.name(node)
  if not node.var then
    named[node.name] = (named[node.name] or 0) + 1
    if (hidden[node.name] or node.name == "table") and not allowed[node] then give_up() end
  elseif node.var.ambient then
    give_up()
  end
end

local function declare(var)
  named[var.name] = (named[var.name] or 0) + 1
  if var.attrib == "close" then give_up() end
end

visit["local"] = function(node) for _, var in ipairs(node.vars) do declare(var) end end
function visit.localfunc(node) declare(node.var) end
visit["for"] = function(node) declare(node.var) end
function visit.func(node)
  for _, var in ipairs(node.params) do declare(var) end
  for var in host.rawpairs(node.upvalues) do captured[var] = true end
end

local function read(body)
  walk.all(body, function(node)
    if node.k == "each" then
      for _, var in ipairs(node.vars) do declare(var) end
    end
    if visit[node.k] then visit[node.k](node) end
  end)
end

-- Is assigned again where a function has it.
local function moves(var) return captured[var] and var.sets > 0 end

local function is_vararg(node)
  local is = false
  walk.node(node, function(inner)
    is = is or inner.k == "vararg"
    return inner.k ~= "func"
  end)
  return is
end

local loops = { ["while"] = true, ["repeat"] = true, ["for"] = true, each = true }

local function has_break(body)
  local has = false
  walk.all(body, function(node)
    has = has or node.k == "break"
    return node.k ~= "func" and not loops[node.k]
  end)
  return has
end

-- The locals of a loop, the first of which tells its turn: `for i, x in ipairs(list)`, `for i = 1, 3`. Nil for others.
local function turn_of(node)
  if #node.body == 0 or has_break(node.body) then return nil end
  if node.k == "for" then
    local literal = node.from.k == "number" and node.limit.k == "number" and not node.step
    return literal and { node.var } or nil
  end
  local call = node.k == "each" and #node.values == 1 and node.values[1]
  local over = call and walk.called(call) == "ipairs" and #call.args == 1 and call.args[1]
  return over and over.k == "name" and over.var and over.var.sets == 0 and not found.touched[over.var] and node.vars or nil
end

local function names_of(visible) return table.concat(visible, ", ") end

local plan

-- The locals behind a statement; nil if one has the name of another that is visible behind this block.
local function behind(node, visible, outer)
  local vars = node.k == "local" and node.vars or { node.k == "localfunc" and node.var or nil }
  local names = table.move(visible, 1, #visible, 1, {})
  for _, var in ipairs(vars) do
    for i = #names, 1, -1 do
      if names[i] == var.name then
        if i <= outer then return nil end
        table.remove(names, i)
      end
    end
    if not moves(var) then names[#names + 1] = var.name end
  end
  for i, var in ipairs(vars) do
    for k = i + 1, #vars do
      if vars[k].name == var.name then return nil end
    end
  end
  return #names <= VISIBLE_MAX and names or nil
end

local function counts(body)
  local n = 0
  for _, node in ipairs(body) do
    if join.decides(node) then n = n + ((node.k == "if" or loops[node.k]) and 2 or 1) end
  end
  return n
end

local function plan_if(node, visible)
  local item, most = { k = "if", node = node, visible = names_of(visible), blocks = {} }, counts(node.otherwise or {})
  for _, clause in ipairs(node.clauses) do most = math.max(most, counts(clause.body)) end
  if most < 2 then return nil end
  for i, clause in ipairs(node.clauses) do
    item.blocks[i] = plan(clause.body, visible)
    if not item.blocks[i] then return nil end
  end
  item.otherwise = node.otherwise and plan(node.otherwise, visible)
  return (item.otherwise or not node.otherwise) and item or nil
end

local function plan_loop(node, visible)
  local vars = turn_of(node)
  if not vars or not join.decides(node) then return nil end
  local names, inside = {}, table.move(visible, 1, #visible, 1, {})
  for i, var in ipairs(vars) do
    for k = 1, #inside do
      if inside[k] == var.name then return nil end
    end
    if var.sets > 0 then return nil end
    names[i], inside[#inside + 1] = var.name, var.name
  end
  turning = turning + 1
  local body = plan(node.body, inside)
  turning = turning - 1
  return body and { k = "loop", node = node, visible = names_of(visible), n = #visible, names = names, body = body }
end

local function note_declared(node)
  local moving, vars = 0, node.k == "local" and node.vars or {}
  for _, var in ipairs(vars) do
    declared[var] = true
    if moves(var) then
      moving = moving + 1
      if named[var.name] > 1 or var.attrib or turning > 0 then give_up() end
      found.first[#found.first + 1] = var.name
    end
  end
  if moving > 0 and moving < #vars then give_up() end
  if moving > 0 then found.moved[node] = true end
end

-- { k = "step", nodes, before, behind } of statements, the last of which may fork; { k = "if" }; { k = "loop" }. Nil if a local
-- hides another.
function plan(body, around)
  local items, visible, step = {}, around, nil
  for _, node in ipairs(body) do
    local item = node.k == "if" and plan_if(node, visible) or loops[node.k] and plan_loop(node, visible)
    local after = behind(node, visible, #around)
    if not after then return nil end
    if item then
      items[#items + 1], step = item, nil
    else
      note_declared(node)
      if not step then
        step = { k = "step", nodes = {}, before = names_of(visible) }
        items[#items + 1] = step
      end
      step.nodes[#step.nodes + 1], step.behind = node, names_of(after)
      if join.decides(node) then step = nil end
    end
    visible = after
  end
  return items
end

-- Variables that functions assign must be among those that are declared in front, and `...` is there in the first step only.
local function check(body)
  local first = found.items[1]
  local first_to = first and first.k == "step" and first.nodes[#first.nodes].to or 0
  for _, node in ipairs(body) do
    if node.at > first_to and is_vararg(node) then give_up() end
  end
  walk.all(body, function(node)
    for _, target in ipairs(node.k == "assign" and node.targets or { node.k == "define" and node.target or nil }) do
      if target.k == "name" and (not target.var or (target.var.set_inside and not declared[target.var])) then give_up() end
    end
  end)
end

-- Variables whose tables are changed.
local function note_touched(body)
  local function touch(node)
    node = walk.bare(node)
    while node.k == "index" do node = walk.bare(node.object) end
    if node.k == "name" and node.var then found.touched[node.var] = true end
  end
  walk.all(body, function(node)
    for _, target in ipairs(node.k == "assign" and node.targets or {}) do
      if target.k == "index" then touch(target) end
    end
    for _, arg in ipairs(found.changes[node] and node.args or {}) do touch(arg) end
  end)
end

--- { items, first = names that are declared in front of all, moved = statements that declare them, saves = statement -> texts of
-- tables that it changes, changes = calls that change what they are given }; nil if the program is no steps.
function steps.of(tree)
  text, fine, captured, named, allowed, declared, turning = tree.text, true, {}, {}, {}, {}, 0
  found = { first = {}, moved = {}, saves = {}, changes = {}, touched = {} }
  read(tree.body)
  note_touched(tree.body)
  found.items = fine and plan(tree.body, {})
  if found.items then check(tree.body) end
  return fine and found.items and #found.first <= VISIBLE_MAX and found or nil
end

return steps
