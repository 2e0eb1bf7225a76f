-- SPDX-License-Identifier: Apache-2.0
-- The parser of Lua 5.4: accepts and rejects what the compiler accepts and rejects, and gives a tree. One for lint
-- and for the checked form (lua/instrument.lua). Every node has `k`, its kind, and `at` and `to`, the places of its first
-- and last byte; tree.place(at) is line and column. Names have `var`, the local that they mean (nil: a global): name, at,
-- what (local, parameter, self, loop, hidden), uses, sets (assignments), set_inside (by an inner function), constant; and
-- `outer` where it is one of an outer function.
--
-- Expressions: nil true false vararg | number string (value) | name (name, var) | index (object, key, dotted) |
--   call (func, args) | method (object, name, name_at, args) | func (params, vararg, body) | paren (inner) |
--   binary (op, op_at, left, right) | unary (op, operand) | table (items: item | pair (key) | field (name); value)
-- Statements: local (vars, values) | assign (targets, values) | invoke (call) | block (body) | while (cond, body) |
--   repeat (body, cond) | if (clauses: {at, cond, then_at, body} and else_at, otherwise) | for (var, from, limit, step, body) |
--   each (vars, values, body) | define (target, func, receiver) | localfunc (var, func) | return (values) | break |
--   goto label (name)
-- A body is a list of statements.

local lexer = host.module("syntax_lexer")
local scope = host.module("syntax_scope")

local enter, leave = scope.enter, scope.leave

local syntax = {}

local kinds, from, to, values, starts       -- of the tokens
local i, token                              -- the current one
local expression, body_until, function_body

-- The line that place `at` is in, from the places where lines begin.
local function line_of(lines, at)
  local low, high = 1, #lines
  while low < high do
    local middle = (low + high + 1) // 2
    if lines[middle] <= at then low = middle else high = middle - 1 end
  end
  return low
end

local function fail(at, message) host.error({ syntax = message, at = at }) end

local function advance()
  i = i + 1
  token = kinds[i]
  if token == "error" then fail(from[i], values[i]) end
end

local shown = { name = true, number = true, string = true }

local function unexpected(wanted, opened, opened_at)
  local near = token == "eof" and "the end" or "'" .. (shown[token] and tostring(values[i]) or token) .. "'"
  if #near > 60 then near = string.sub(near, 1, 60) .. "...'" end
  local why = wanted and string.format("'%s' expected near %s", wanted, near) or "unexpected symbol near " .. near
  local line = opened and line_of(starts, opened_at)
  if line and line ~= line_of(starts, from[i]) then
    why = string.format("%s, to close '%s' in line %d", why, opened, line)
  end
  fail(from[i], why)
end

local function accept(kind)
  if token ~= kind then return false end
  advance()
  return true
end

local function expect(kind, opened, opened_at)
  if token ~= kind then unexpected(kind, opened, opened_at) end
  advance()
end

local function name()
  if token ~= "name" then unexpected("a name") end
  local value = values[i]
  advance()
  return value, from[i - 1]
end

local function names_node()
  local at, word = from[i], values[i]
  local var = scope.resolve(word, at)
  if var then var.uses = var.uses + 1 end
  local node = { k = "name", at = at, to = to[i], name = word, var = var, outer = var and var.fs ~= scope.current() }
  advance()
  return node
end

-- A list of expressions; each stays in a register while the rest is read, a single one where it is an argument.
local function expressions(is_argument)
  local list, count = { expression() }, 1
  while token == "," do
    scope.reserve(1, from[i])
    advance()
    count = count + 1
    list[count] = expression()
  end
  if count > 1 or is_argument then scope.reserve(1, from[i]) else count = 0 end
  scope.release(count)
  return list
end

local function item()
  local at = from[i]
  if token == "name" and kinds[i + 1] == "=" then
    local field = values[i]
    advance()
    advance()
    return { k = "field", at = at, name = field, value = expression(), to = to[i - 1] }
  end
  if token == "[" then
    advance()
    local key = expression()
    expect("]")
    expect("=")
    return { k = "pair", at = at, key = key, value = expression(), to = to[i - 1] }
  end
  return { k = "item", at = at, value = expression(), to = to[i - 1] }
end

local ITEMS_AT_ONCE = 50    -- of a constructor, that wait in registers

local function table_node()
  local at, items, pending = from[i], {}, 0
  advance()
  scope.reserve(1, at)
  while token ~= "}" do
    local entry = item()
    items[#items + 1] = entry
    if entry.k == "item" then
      scope.reserve(1, at)
      pending = pending + 1
    end
    if not (accept(",") or accept(";")) then break end
    if pending == ITEMS_AT_ONCE then
      scope.release(pending)
      pending = 0
    end
  end
  expect("}", "{", at)
  scope.release(1 + pending)
  return { k = "table", at = at, to = to[i - 1], items = items }
end

-- The arguments of a call: ( list ), a string or a table.
local function arguments()
  if token == "string" then
    local node = { k = "string", at = from[i], to = to[i], value = values[i] }
    advance()
    return { node }
  end
  if token == "{" then return { table_node() } end
  if token ~= "(" then unexpected("(") end
  local at = from[i]
  advance()
  if accept(")") then return {} end
  local list = expressions(true)
  expect(")", "(", at)
  return list
end

local function primary()
  if token == "name" then return names_node() end
  if token ~= "(" then unexpected() end
  local at = from[i]
  advance()
  local inner = expression()
  expect(")", "(", at)
  return { k = "paren", at = at, to = to[i - 1], inner = inner }
end

local function dotted(object)
  advance()
  local at = from[i]
  local word = name()
  local key = { k = "string", at = at, to = to[i - 1], value = word }
  return { k = "index", at = object.at, to = to[i - 1], object = object, key = key, dotted = true }
end

local function bracketed(object)
  local opened = from[i]
  advance()
  scope.reserve(1, opened)
  local key = expression()
  scope.release(1)
  expect("]", "[", opened)
  return { k = "index", at = object.at, to = to[i - 1], object = object, key = key }
end

local function call_of(object)
  local node = { k = "call", at = object.at, func = object }
  local held = 1
  if token == ":" then
    advance()
    node.k, node.func, node.object, held = "method", nil, object, 2
    node.name, node.name_at = name()
  end
  node.args_at = from[i]
  scope.reserve(held, from[i])
  node.args = arguments()
  scope.release(held)
  node.to = to[i - 1]
  return node
end

local calls = { ["("] = true, [":"] = true, ["{"] = true, string = true }

local function suffixed()
  local node = primary()
  while true do
    if token == "." then
      node = dotted(node)
    elseif token == "[" then
      node = bracketed(node)
    elseif calls[token] then
      node = call_of(node)
    else
      return node
    end
  end
end

local function literal(kind, value)
  local node = { k = kind, at = from[i], to = to[i], value = value }
  advance()
  return node
end

local function vararg_node()
  if not scope.current().vararg then fail(from[i], "cannot use '...' outside a vararg function") end
  return literal("vararg")
end

local simple = {
  ["nil"] = function() return literal "nil" end, ["true"] = function() return literal "true" end,
  ["false"] = function() return literal "false" end, ["..."] = vararg_node, ["{"] = table_node,
  number = function() return literal("number", values[i]) end, string = function() return literal("string", values[i]) end,
  ["function"] = function()
    local at = from[i]
    advance()
    return function_body(at)
  end,
}

-- How strongly an operator holds what is left and right of it.
local left_priority = {
  ["or"] = 1, ["and"] = 2, ["<"] = 3, [">"] = 3, ["<="] = 3, [">="] = 3, ["~="] = 3, ["=="] = 3, ["|"] = 4, ["~"] = 5,
  ["&"] = 6, ["<<"] = 7, [">>"] = 7, [".."] = 9, ["+"] = 10, ["-"] = 10, ["*"] = 11, ["/"] = 11, ["//"] = 11, ["%"] = 11,
  ["^"] = 14,
}
local right_priority = setmetatable({ [".."] = 8, ["^"] = 13 }, { __index = left_priority })
local unary = { ["not"] = true, ["-"] = true, ["~"] = true, ["#"] = true }
local UNARY_PRIORITY = 12

local settled = { number = true, string = true, ["nil"] = true, ["true"] = true, ["false"] = true }

-- Registers that the left side needs while the right one is read.
local function held_by(op, left)
  if op == ".." then return 1 end
  if op == "and" or op == "or" or settled[left.k] or (left.k == "name" and left.var) then return 0 end
  return 1
end

function expression(limit)
  limit = limit or 0
  enter(from[i])
  local node
  if unary[token] then
    local at, op = from[i], token
    advance()
    local operand = expression(UNARY_PRIORITY)
    node = { k = "unary", at = at, to = operand.to, op = op, operand = operand }
  else
    local read = simple[token]
    node = read and read() or suffixed()
  end
  local op = token
  while (left_priority[op] or 0) > limit do
    local op_at, held = from[i], held_by(op, node)
    advance()
    if held > 0 then scope.reserve(held, op_at) end
    local right = expression(right_priority[op])
    if held > 0 then scope.release(held) end
    node = { k = "binary", at = node.at, to = right.to, op = op, op_at = op_at, left = node, right = right }
    op = token
  end
  leave()
  return node
end

local function parameters(params)
  local vararg = false
  expect("(")
  if token ~= ")" then
    repeat
      if accept("...") then vararg = true break end
      local word, at = name()
      params[#params + 1] = scope.declare(word, at, "parameter")
    until not accept(",")
  end
  expect(")")
  return vararg
end

-- From the "(" to the "end" of a function that began at `at`.
function function_body(at, is_method)
  local f = scope.open_function(false)
  local params = {}
  if is_method then params[1] = scope.declare("self", at, "self") end
  f.vararg = parameters(params)
  scope.activate(#params)
  local body = body_until("end", "function", at)
  scope.close_function()
  return { k = "func", at = at, to = to[i - 1], params = params, vararg = f.vararg, body = body, upvalues = f.upvalues }
end

local ends_block = { ["else"] = true, ["elseif"] = true, ["end"] = true, eof = true, ["until"] = true }

local statement

local function statements()
  local list = {}
  while not ends_block[token] do
    local is_return = token == "return"
    local node = statement()
    if node then list[#list + 1] = node end
    if is_return then break end
  end
  return list
end

function body_until(stop, opened, opened_at)
  local list = statements()
  expect(stop, opened, opened_at)
  return list
end

local function block_until(stop, opened, opened_at)
  scope.open_block(false)
  local list = statements()
  scope.close_block()
  if stop then expect(stop, opened, opened_at) end
  return list
end

local function is_constant(node)
  if node.k == "unary" and node.op == "-" then return node.operand.k == "number" end
  return settled[node.k] or (node.k == "name" and node.var ~= nil and node.var.constant == true)
end

local function attribute(var)
  if not accept("<") then return false end
  local attrib, at = name()
  expect(">")
  if attrib ~= "const" and attrib ~= "close" then fail(at, string.format("unknown attribute '%s'", attrib)) end
  var.attrib = attrib
  return attrib == "close"
end

local function local_statement(at)
  local vars, list, closes = {}, {}, 0
  repeat
    local word, place = name()
    local var = scope.declare(word, place, "local")
    vars[#vars + 1] = var
    if attribute(var) then closes = closes + 1 end
    if closes > 1 then fail(place, "multiple to-be-closed variables in local list") end
  until not accept(",")
  if accept("=") then list = expressions() end
  local last = vars[#vars]
  if #vars == #list and last.attrib == "const" and is_constant(list[#list]) then last.constant = true end
  scope.activate(#vars)
  return { k = "local", at = at, vars = vars, values = list }
end

local function assigned(target)
  if target.k == "name" then
    local var = target.var
    if var then
      if var.attrib then fail(target.at, string.format("attempt to assign to const variable '%s'", var.name)) end
      var.uses, var.sets = var.uses - 1, var.sets + 1
      if var.fs ~= scope.current() then var.set_inside = true end
    end
  elseif target.k ~= "index" then
    fail(from[i], "syntax error: only a variable or a field can be assigned")
  end
end

local function assignment(first)
  local targets, levels = { first }, 0
  assigned(first)
  while accept(",") do
    local target = suffixed()
    assigned(target)
    targets[#targets + 1] = target
    levels = levels + 1
    scope.enter(target.at)
  end
  expect("=")
  local list = expressions()
  for _ = 1, levels do scope.leave() end
  return { k = "assign", at = first.at, targets = targets, values = list }
end

local function expression_statement(at)
  local node = suffixed()
  if token == "=" or token == "," then return assignment(node) end
  if node.k ~= "call" and node.k ~= "method" then
    fail(from[i], string.format("syntax error near '%s': this is a value, not a statement",
      token == "eof" and "the end" or shown[token] and tostring(values[i]) or token))
  end
  return { k = "invoke", at = at, call = node }
end

local read = {}

read["if"] = function(at)
  local clauses, otherwise = {}, nil
  repeat
    advance()
    local word_at, cond, then_at = from[i - 1], expression(), from[i]
    expect("then")
    clauses[#clauses + 1] = { at = word_at, cond = cond, then_at = then_at, body = block_until() }
  until token ~= "elseif"
  if accept("else") then clauses.else_at, otherwise = from[i - 1], block_until() end
  expect("end", "if", at)
  return { k = "if", at = at, clauses = clauses, otherwise = otherwise }
end

read["while"] = function(at)
  advance()
  local cond = expression()
  scope.open_block(true)
  expect("do")
  local body = block_until("end", "while", at)
  scope.close_block()
  return { k = "while", at = at, cond = cond, body = body }
end

read["do"] = function(at)
  advance()
  return { k = "block", at = at, body = block_until("end", "do", at) }
end

read["repeat"] = function(at)
  advance()
  scope.open_block(true)
  scope.open_block(false)
  local body = body_until("until", "repeat", at)
  local cond = expression()
  scope.close_block()
  scope.close_block()
  return { k = "repeat", at = at, body = body, cond = cond }
end

-- The body of a loop with `count` variables of its own, declared already behind `hidden` of the machine.
local function loop_body(at, hidden, count)
  scope.activate(hidden)
  expect("do")
  scope.open_block(false)
  scope.activate(count)
  local body = block_until()
  scope.close_block()
  expect("end", "for", at)
  return body
end

local function numeric_for(at, word, place)
  for _ = 1, 3 do scope.declare("(for state)", place, "hidden") end
  local var = scope.declare(word, place, "loop")
  expect("=")
  local node = { k = "for", at = at, var = var, from = expression() }
  expect(",")
  node.limit = expression()
  if accept(",") then node.step = expression() end
  node.body = loop_body(at, 3, 1)
  return node
end

local function generic_for(at, word, place)
  for _ = 1, 4 do scope.declare("(for state)", place, "hidden") end
  local vars = { scope.declare(word, place, "loop") }
  while accept(",") do
    local more, more_at = name()
    vars[#vars + 1] = scope.declare(more, more_at, "loop")
  end
  expect("in")
  local list = expressions()
  return { k = "each", at = at, vars = vars, values = list, body = loop_body(at, 4, #vars) }
end

read["for"] = function(at)
  advance()
  scope.open_block(true)
  local word, place = name()
  local node
  if token == "=" then
    node = numeric_for(at, word, place)
  elseif token == "," or token == "in" then
    node = generic_for(at, word, place)
  else
    unexpected("=' or 'in")
  end
  scope.close_block()
  return node
end

read["function"] = function(at)
  advance()
  if token ~= "name" then unexpected("a name") end
  local target, is_method = names_node(), false
  while token == "." or (token == ":" and not is_method) do
    is_method = token == ":"
    target = dotted(target)
    if is_method then break end
  end
  local func = function_body(at, is_method)
  if target.k == "name" then assigned(target) end
  return { k = "define", at = at, target = target, func = func, receiver = is_method }
end

read["local"] = function(at)
  advance()
  if not accept("function") then return local_statement(at) end
  local word, place = name()
  local var = scope.declare(word, place, "local")
  scope.activate(1)
  return { k = "localfunc", at = at, var = var, func = function_body(at) }
end

read["return"] = function(at)
  advance()
  local list = {}
  if not ends_block[token] and token ~= ";" then list = expressions() end
  accept(";")
  return { k = "return", at = at, values = list }
end

read["break"] = function(at)
  advance()
  scope.add_goto("break", at)
  return { k = "break", at = at }
end

read["goto"] = function(at)
  advance()
  local label = name()
  scope.add_goto(label, at)
  return { k = "goto", at = at, name = label }
end

read["::"] = function(at)
  advance()
  local label = name()
  expect("::")
  local node = { k = "label", at = at, to = to[i - 1], name = label }
  local more
  while token == ";" or token == "::" do more = statement() or more end
  scope.add_label(label, at, ends_block[token] and token ~= "until")
  node.follows = more
  return node
end

read[";"] = function() advance() end

function statement()
  local at = from[i]
  scope.enter(at)
  local node = (read[token] or expression_statement)(at)
  if node and not node.to then node.to = to[i - 1] end
  scope.leave()
  return node
end

local function chunk()
  advance()
  scope.open_function(true)
  local body = statements()
  if token ~= "eof" then unexpected("the end") end
  scope.close_function()
  return body
end

--- Parses a text: { body, text, place(at) -> line, column }, or nil and { line, column, message }.
function syntax.parse(source)
  local tokens = lexer.read(source)
  kinds, from, to, values, starts = tokens.kinds, tokens.from, tokens.to, tokens.values, tokens.starts
  i, token = 0, nil
  scope.begin(fail)
  local ok, result = host.pcall(chunk)
  local lines = starts
  local function place(at)
    local line = line_of(lines, at)
    return line, at - lines[line] + 1
  end
  if ok then return { body = result, text = source, place = place } end
  if type(result) ~= "table" or not result.syntax then host.error(result) end
  local line, column = place(result.at)
  return nil, { line = line, column = column, message = result.syntax }
end

return syntax
