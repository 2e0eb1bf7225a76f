-- SPDX-License-Identifier: Apache-2.0
-- The checked form of a program: comparisons, conditions, `and`, `or`, `not`, `..`, computed keys and calls of the libraries go
-- through functions of lua/checked.lua, so that a symbol can fork there. What is not a symbol computes as before: lines,
-- order of evaluation and the texts of errors are the same (but for error(text, 2) out of a metamethod, which has no place,
-- and for how much fits on the stack). Arithmetic and constant keys stay as they are: metamethods
-- of a symbol see those.
--
-- The checked form is a chunk that takes the functions and returns the program as a function. They are in a local
-- whose name does not occur in the program, and no other chunk can see it.

local syntax = host.module("syntax")
local walk = host.module("syntax_walk")
local join = host.module("instrument_join")
local steps = host.module("instrument_steps")

local instrument = {}

local tree, parts, done     -- the text up to `done` is in parts
local op                    -- the name of the local
local places                -- of lua/instrument_join.lua
local plan                  -- of lua/instrument_steps.lua

local function copy(to)
  if to > done then parts[#parts + 1] = string.sub(tree.text, done + 1, to) end
  done = math.max(done, to)
end

local function put(text) parts[#parts + 1] = text end

local function line_of(at) return (tree.place(at)) end

-- A text as a literal that has one line.
local function quoted(text) return (string.gsub(string.format("%q", text), "\\\n", "\\n")) end

local comparison = { ["<"] = "lt", ["<="] = "le", [">"] = "gt", [">="] = "ge", ["=="] = "eq", ["~="] = "ne" }
local literal = { number = true, string = true, ["nil"] = true, ["true"] = true, ["false"] = true, func = true, table = true }

-- Library functions that look at a value and would take a symbol for a table.
local checked_calls = { type = "type", tostring = "tostring", tonumber = "tonumber", ["math.type"] = "type",
  ["table.concat"] = "concat", ["utf8.len"] = "len" }
for _, name in ipairs { "byte", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper" } do
  checked_calls["string." .. name] = name
end
for _, name in ipairs { "abs", "ceil", "floor", "fmod", "max", "min", "sqrt", "tointeger" } do
  checked_calls["math." .. name] = name
end

local expression, body

local function list(nodes)
  for i = 1, #nodes do expression(nodes[i]) end
end

-- True for what gives a boolean and has forked already, or can be no symbol.
local function is_plain(node)
  node = walk.bare(node)
  return literal[node.k] or (node.k == "binary" and comparison[node.op] ~= nil) or (node.k == "unary" and node.op == "not")
end

-- A value that is asked whether it is true. `stop`: where the closing parenthesis goes; the compiler notes the line of
-- the token in front of which a value is taken, so it stands where that token was.
local function condition(node, stop)
  copy(node.at - 1)
  local plain = is_plain(node)
  if not plain then put(op .. ".t(") end
  expression(node)
  copy(stop or node.to)
  if not plain then put(")") end
end

-- Constants that the compiler folds; errors name fields by them.
local function is_folded(node)
  node = walk.bare(node)
  if node.k == "number" or node.k == "string" then return true end
  if node.k == "name" then return node.var ~= nil and node.var.constant == true end
  if node.k == "unary" then return node.op ~= "not" and is_folded(node.operand) end
  return node.k == "binary" and not comparison[node.op] and is_folded(node.left) and is_folded(node.right)
end

-- A local that an inner function assigns is read when the instruction runs, not when an argument is passed.
local function may_change(node)
  node = walk.bare(node)
  return node.k == "name" and node.var ~= nil and node.var.set_inside == true
end

local function wrapped(node, name)
  copy(node.at - 1)
  local plain = is_folded(node) or may_change(node)
  if not plain then put(op .. "." .. name .. "(") end
  expression(node)
  copy(node.to)
  if not plain then put(")") end
end

local function compare(node)
  local right = walk.bare(node.right)
  if may_change(node.left) and not literal[right.k] and right.k ~= "name" then
    expression(node.left)
    return expression(node.right)
  end
  copy(node.at - 1)
  put("(" .. op .. "." .. comparison[node.op] .. "(")     -- in parentheses it is no tail call: errors need the place
  expression(node.left)
  copy(node.op_at - 1)
  put(",")
  done = done + #node.op
  expression(node.right)
  copy(node.to)
  -- The line, where the call does not stand in it, or where the right side could give more than one value.
  local line, last = line_of(node.to), node.right.k
  local needed = line ~= line_of(node.at) or last == "call" or last == "method" or last == "vararg"
  put(needed and ", " .. line .. "))" or "))")
end

-- What the errors of the compiler's code call an operand of `..`, or "".
local function called(node)
  node = walk.bare(node)
  if node.k == "name" then
    if not node.var then return "global '" .. node.name .. "'" end
    return node.var.constant and "" or (node.outer and "upvalue '" or "local '") .. node.name .. "'"
  elseif node.k == "index" then
    local object, key = walk.bare(node.object), walk.bare(node.key)
    local whole = key.k == "number" and math.tointeger(tonumber(key.value))
    local name = key.k == "string" and key.value or whole and whole < 256 and "integer index" or "?"
    return (object.k == "name" and object.name == "_ENV" and "global '" or "field '") .. name .. "'"
  end
  return ""
end

-- The operands of `..` that one instruction takes, and the line that it has: of the last operator.
local function operands(node)
  local taken, line = { node.left }, line_of(node.op_at)
  local right = node.right
  while right.k == "binary" and right.op == ".." do
    taken[#taken + 1], line, right = right.left, line_of(right.op_at), right.right
  end
  taken[#taken + 1] = right
  return taken, line
end

local gives_many = { call = true, method = true, vararg = true }

local function concatenate(node)
  local taken, line = operands(node)
  local names, plain, at = {}, true, node
  for k = 1, #taken do names[k], plain = called(taken[k]), plain and is_folded(taken[k]) end
  copy(node.at - 1)
  if not plain then put("(" .. op .. ".cat(" .. line .. "," .. quoted(table.concat(names, "\0")) .. ",") end
  for k = 1, #taken do
    local is_last = k == #taken
    if not plain and is_last and gives_many[taken[k].k] then put("(") end
    expression(taken[k])
    copy(is_last and taken[k].to or at.op_at - 1)
    if not plain then put(not is_last and "," or gives_many[taken[k].k] and ")))" or "))") end
    if not is_last then
      if not plain then done = done + 2 end
      at = at.right
    end
  end
end

local function binary(node)
  if comparison[node.op] then return compare(node) end
  if node.op == ".." then return concatenate(node) end
  if node.op == "and" or node.op == "or" then
    condition(node.left, node.op_at - 1)
  else
    expression(node.left)
  end
  expression(node.right)
end

local function checked_name(node)
  return node.k == "call" and #node.args > 0 and checked_calls[walk.called(node) or ""] or nil
end

local function call(node)
  local name = checked_name(node)
  if name then
    copy(node.at - 1)
    put(op .. ".call(")
    copy(node.args_at - 1)
    put(string.format(", %q,", name))
    local opened = string.sub(tree.text, node.args_at, node.args_at) == "("
    if opened then done = node.args_at end
    list(node.args)
    copy(node.to)
    if not opened then put(")") end
    return
  end
  expression(node.func)
  if plan.changes[node] and string.sub(tree.text, node.args_at, node.args_at) == "(" and #node.args > 0 then
    copy(node.args_at)
    put(op .. ".save(")
    list(node.args)
    copy(node.to - 1)
    put(")")
  else
    list(node.args)
  end
end

local write = {
  binary = binary, call = call,
  paren = function(node) expression(node.inner) end,
  func = function(node)
    local id = places.funcs[node]
    if id and not node.defined then
      copy(node.at - 1)
      put(op .. ".fn(" .. id .. ", ")
    end
    body(node.body)
    copy(node.to)
    if id and not node.defined then put(")") end
  end,
  unary = function(node) if node.op == "not" then condition(node.operand) else expression(node.operand) end end,
  index = function(node)
    expression(node.object)
    if not node.dotted then wrapped(node.key, "key") end
  end,
  method = function(node)
    expression(node.object)
    list(node.args)
  end,
  table = function(node)
    for _, item in ipairs(node.items) do
      if item.k == "pair" then wrapped(item.key, "key") end
      expression(item.value)
    end
  end,
}

function expression(node)
  local f = write[node.k]
  if f then f(node) end
end

local function conditional(node)
  for _, clause in ipairs(node.clauses) do
    condition(clause.cond, clause.then_at - 1)
    body(clause.body)
  end
  if node.otherwise then body(node.otherwise) end
end

local function numeric(node)
  wrapped(node.from, "bound")
  wrapped(node.limit, "bound")
  if node.step then wrapped(node.step, "bound") end
  body(node.body)
end

local statements = {
  ["local"] = function(node)
    if plan.moved[node] then
      copy(node.at - 1)
      done = done + #"local"
    end
    list(node.values)
    copy(node.to)
    if plan.moved[node] and #node.values == 0 then put(" = nil") end
  end,
  ["return"] = function(node)
    local first = node.values[1]
    local tail = #node.values == 1 and checked_name(first)
    if tail then
      copy(first.at - 1)
      put(op .. ".all(")
    end
    list(node.values)
    if tail then
      copy(first.to)
      put(")")
    end
  end,
  assign = function(node)
    if plan.saves[node] then
      copy(node.at - 1)
      for _, path in ipairs(plan.saves[node]) do put(string.format("%s.save(%s); ", op, path)) end
    end
    list(node.targets)
    list(node.values)
  end,
  invoke = function(node) expression(node.call) end,
  block = function(node) body(node.body) end,
  ["while"] = function(node)
    condition(node.cond)
    body(node.body)
  end,
  ["repeat"] = function(node)
    body(node.body)
    condition(node.cond)
  end,
  ["if"] = conditional, ["for"] = numeric,
  each = function(node)
    list(node.values)
    body(node.body)
  end,
  define = function(node) expression(node.func) end,
  localfunc = function(node)
    node.func.defined = true
    expression(node.func)
    if places.funcs[node.func] then put(string.format(" %s.fn(%d, %s);", op, places.funcs[node.func], node.var.name)) end
  end,
}

local function write_place(after)
  put(string.format(" %s.at(%d%s%s);", op, after.id, #after.names > 0 and ", " or "", table.concat(after.names, ", ")))
end

function body(nodes)
  for _, node in ipairs(nodes) do
    local f = statements[node.k]
    if f then f(node) end
    local watched, after = places.watch[node], places.after[node]
    if watched then
      copy(node.to)
      local names = table.concat(watched, ", ")
      put(string.format(" %s.watch(function() return %s end, function(...) %s = ... end);", op, names, names))
    end
    if after then
      copy(node.to)
      write_place(after)
    end
  end
end

-- What is between statements: no semicolons where the steps are separated by commas.
local function gap(to)
  if to > done then put((string.gsub(string.sub(tree.text, done + 1, to), ";", " "))) end
  done = math.max(done, to)
end

local write_items

local function write_if(item)
  local node = item.node
  put("{ ")
  for i, clause in ipairs(node.clauses) do
    gap(clause.at - 1)
    put("function(" .. item.visible .. ") if")
    done = clause.at + #(i == 1 and "if" or "elseif") - 1
    condition(clause.cond, clause.then_at - 1)
    copy(clause.then_at + 3)
    put(" return true end end, ")
    write_items(item.blocks[i])
    put(", ")
  end
  if node.otherwise then
    gap(node.clauses.else_at - 1)
    done = done + #"else"
    write_items(item.otherwise)
  end
  gap(node.to - #"end")
  done = node.to
  put("}, ")
end

local function write_loop(item)
  local node, turn, names = item.node, walk.fresh_name(tree.text, op .. "_turn"), table.concat(item.names, ", ")
  put(string.format("{ n = %d, turn = function(%s%s) ", item.n, item.visible, (item.n > 0 and ", " or "") .. turn))
  if node.k == "for" then
    wrapped(node.from, "bound")
    wrapped(node.limit, "bound")
  else
    list(node.values)
  end
  copy(node.body[1].at - 1)
  put(string.format("if %s > %s then return %s end end end, ", item.names[1], turn, names))
  write_items(item.body)
  gap(node.to - #"end")
  done = node.to
  put("}, ")
end

local function write_step(item)
  local last = item.nodes[#item.nodes]
  put("function(" .. (item.before == "" and "..." or item.before) .. ") ")
  body(item.nodes)
  copy(last.to)
  if last.k ~= "return" then
    put(string.format(" return %s.done%s end, ", op, item.behind ~= "" and ", " .. item.behind or ""))
  else
    put(" end, ")
  end
end

function write_items(items)
  put("{")
  for _, item in ipairs(items) do
    gap((item.node or item.nodes[1]).at - 1)
    if item.k == "step" then
      write_step(item)
    else
      (item.k == "if" and write_if or write_loop)(item)
      local after = places.after[item.node]
      if after then
        put("function(" .. item.visible .. ")")
        write_place(after)
        put(" return " .. op .. ".done" .. (item.visible ~= "" and ", " .. item.visible or "") .. " end, ")
      end
    end
  end
  put("}")
end

local function write_steps()
  local first = table.concat(plan.first, ", ")
  if first ~= "" then
    put(string.format("local %s; %s.keep(function() return %s end, function(...) %s = ... end); ", first, op, first, first))
  end
  put("return " .. op .. ".run(")
  write_items(plan.items)
  gap(#tree.text)
  put(", ...)")
end

local NO_STEPS = { changes = {}, moved = {}, saves = {} }

--- The checked form of a program: text, or nil and { line, column, message }. For vm_start_checked.
function instrument.text(source, is_program)
  local wrong
  tree, wrong = syntax.parse(source)
  if not tree then return nil, wrong end
  op, parts, done = walk.fresh_name(source, "__op"), {}, 0
  places = is_program and join.places(tree.body) or { after = {}, funcs = {}, watch = {} }
  local divided = is_program and steps.of(tree)
  plan = divided or NO_STEPS
  put("local " .. op .. " = ... return function(...) ")
  if divided then
    write_steps()
  else
    body(tree.body)
    copy(#source)
  end
  put("\nend")
  return table.concat(parts)
end

--- The same as steps (lua/instrument_steps.lua), and with the places at which paths may be compared (lua/instrument_join.lua).
function instrument.program(source) return instrument.text(source, true) end

return instrument
