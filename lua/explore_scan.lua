-- SPDX-License-Identifier: Apache-2.0
-- What must be known of a program before all its paths are followed.

local syntax = host.module("syntax")
local walk = host.module("syntax_walk")
local join = host.module("instrument_join")

local scan = {}

local comparison = { ["<"] = true, ["<="] = true, [">"] = true, [">="] = true, ["=="] = true, ["~="] = true }

-- The name of a parameter that a node is: params.name, or nil.
local function parameter(node)
  node = walk.bare(node)
  if not node or node.k ~= "index" or node.key.k ~= "string" then return nil end
  local object = walk.bare(node.object)
  return object.k == "name" and not object.var and object.name == "params" and node.key.value or nil
end

-- Parameters inside of what decides.
local function branched_in(node, out)
  walk.node(node, function(inner)
    local name = parameter(inner)
    if name then out[name] = true end
    return inner.k ~= "func"
  end)
end

local function visit_branch(node, out)
  if node.k == "binary" and comparison[node.op] then
    branched_in(node, out)
  elseif node.k == "binary" and (node.op == "and" or node.op == "or") then
    local name = parameter(node.left)
    if name then out[name] = true end
  elseif node.k == "unary" and node.op == "not" then
    local name = parameter(node.operand)
    if name then out[name] = true end
  elseif node.k == "if" then
    for _, clause in ipairs(node.clauses) do branched_in(clause.cond, out) end
  elseif node.k == "while" or node.k == "repeat" then
    branched_in(node.cond, out)
  end
end

-- Local functions that the chunk calls by name and that are nothing else: nothing looks with them.
local function called_by_chunk(body)
  local funcs, uses = {}, {}
  walk.all(body, function(node)
    if node.k == "localfunc" then funcs[node.var] = node.func end
    if node.k == "call" and node.func.k == "name" and node.func.var then
      uses[node.func.var] = (uses[node.func.var] or 0) + 1
    end
  end)
  walk.all(body, function(node)
    if node.k ~= "func" then return end
    for var in host.rawpairs(node.upvalues) do funcs[var] = nil end
  end)
  local out = {}
  for var, func in host.rawpairs(funcs) do
    if var.uses == uses[var] and var.sets == 0 then out[func] = true end
  end
  return out
end

local changes_first = { insert = true, remove = true, sort = true, move = true, rawset = true }

-- The table that a call of the library changes, as an expression, or nil. A library by another name is not known.
local function changed_by(node)
  if node.k ~= "call" then return nil end
  local func = walk.bare(node.func)
  local name = func.k == "name" and func.name or func.k == "index" and func.key.value
  if not name or not changes_first[name] then return nil end
  return name == "move" and node.args[5] or node.args[1]
end

-- True if a function changes something outside of itself: a variable of a function around it, or a table that is not its
-- own. A table of its own is one that a local of the function is declared with. One that only the chunk calls may.
local function changes_outside(body, but_watched)
  local found, by_chunk = false, called_by_chunk(body)
  walk.all(body, function(func)
    if func.k ~= "func" or by_chunk[func] then return end
    local own = {}
    walk.all(func.body, function(node)
      if node.k == "local" then
        for _, var in ipairs(node.vars or {}) do own[var] = true end
      end
    end)
    walk.all(func.body, function(node)
      for _, target in ipairs(node.k == "assign" and node.targets or { changed_by(node) }) do
        local at = walk.bare(target)
        while at.k == "index" or at.k == "paren" do at = walk.bare(at.object or at.inner) end
        local is_watched = but_watched and node.k == "assign" and walk.bare(target).k == "name" and at.var and
          join.is_watched(at.var, body)
        if at.k ~= "name" or not (at.var and own[at.var]) and not is_watched then found = true end
      end
    end)
  end)
  return found
end

--- { branched = names of parameters that decide, changes = whether a function changes what is outside of it, hidden = whether
-- it changes more than what instrument.program watches }.
function scan.program(text)
  local tree = syntax.parse(text)
  if not tree then return { branched = host.array {}, changes = true, hidden = true } end
  local set, names = {}, {}
  walk.all(tree.body, function(node) visit_branch(node, set) end)
  for name in pairs(set) do names[#names + 1] = name end
  return { branched = host.array(names), changes = changes_outside(tree.body),
    hidden = not join.is_safe(tree.body) or changes_outside(tree.body, true) }
end

return scan
