-- SPDX-License-Identifier: Apache-2.0
-- Walks over the tree of lua/syntax.lua.

local walk = {}

-- The fields of a kind that hold one node, a list of nodes, or a body.
local one = {
  index = { "object", "key" }, call = { "func" }, method = { "object" }, paren = { "inner" }, binary = { "left", "right" },
  unary = { "operand" }, item = { "value" }, field = { "value" }, pair = { "key", "value" }, invoke = { "call" },
  ["while"] = { "cond" }, ["for"] = { "from", "limit", "step" }, define = { "target", "func" }, localfunc = { "func" },
}
local many = {
  call = { "args" }, method = { "args" }, table = { "items" }, ["local"] = { "values" }, assign = { "targets", "values" },
  ["return"] = { "values" }, func = { "body" }, block = { "body" }, ["while"] = { "body" },
  ["repeat"] = { "body" }, ["for"] = { "body" },
}
many.each = { "values", "body" }

local visit_node

local function visit_list(list, visit, parent)
  for i = 1, #list do visit_node(list[i], visit, parent) end
end

local function visit_if(node, visit)
  for _, clause in ipairs(node.clauses) do
    visit_node(clause.cond, visit, node)
    visit_list(clause.body, visit, node)
  end
  if node.otherwise then visit_list(node.otherwise, visit, node) end
end

function visit_node(node, visit, parent)
  if visit(node, parent) == false then return end
  if node.k == "if" then return visit_if(node, visit) end
  for _, field in ipairs(one[node.k] or {}) do
    if node[field] then visit_node(node[field], visit, node) end
  end
  for _, field in ipairs(many[node.k] or {}) do visit_list(node[field], visit, node) end
  if node.k == "repeat" then visit_node(node.cond, visit, node) end
end

--- Calls visit(node, parent) for every node of a body, parents first; where it returns false, not for what is inside.
function walk.all(body, visit) visit_list(body, visit, nil) end

--- The same for one node and what is inside it.
function walk.node(node, visit) visit_node(node, visit, nil) end

--- Calls fn(body, parent) for the body and every one inside it, those of functions included.
function walk.bodies(body, fn)
  fn(body, nil)
  walk.all(body, function(node)
    if node.k == "if" then
      for _, clause in ipairs(node.clauses) do fn(clause.body, node) end
      if node.otherwise then fn(node.otherwise, node) end
    elseif node.body then
      fn(node.body, node)
    end
  end)
end

--- The node without parentheses around it.
function walk.bare(node)
  while node and node.k == "paren" do node = node.inner end
  return node
end

--- The name of a global that is called here, or nil: `resolve "x"` is "resolve", `text.of(...)` is "text.of".
function walk.called(node)
  local func = node.k == "call" and walk.bare(node.func)
  if not func then return nil end
  if func.k == "name" and not func.var then return func.name end
  if func.k ~= "index" or func.key.k ~= "string" then return nil end
  local object = walk.bare(func.object)
  return object.k == "name" and not object.var and object.name .. "." .. func.key.value or nil
end

--- A name that the text does not have: `base`, or that with a number.
function walk.fresh_name(text, base)
  local name, n = base, 0
  while string.find(text, name, 1, true) do
    n = n + 1
    name = base .. n
  end
  return name
end

return walk
