-- SPDX-License-Identifier: Apache-2.0
-- The counted form of a program: at the beginning of every branch it notes in a table that it was there. Lines and what
-- the program computes stay the same. Like the checked form (lua/instrument.lua) it is a chunk that takes the table, which is
-- `ops` of lua/cover_hits.lua, and returns the program as a function.

local syntax = host.module("syntax")
local walk = host.module("syntax_walk")
local sort = host.module("prelude").sort

local cover = {}

local tree, inserts, branches, hypotheses
local operands                  -- expressions that decide, in the order of the text

local function line_of(at) return (tree.place(at)) end

local function shown(node)
  local text = string.gsub(string.sub(tree.text, node.at, node.to), "%s+", " ")
  return #text > 80 and string.sub(text, 1, 77) .. "..." or text
end

-- A branch whose first byte is at `at`; `why` says what it means that nothing ever was there.
local function branch(at, line, why, before, after)
  branches[#branches + 1] = { line = line, why = why }
  inserts[#inserts + 1] = { at = at, n = #branches, before = before or "", after = after or "" }
end

local literal = { ["true"] = true, ["false"] = true, ["nil"] = true, number = true, string = true }

local function operand(node)
  if not literal[walk.bare(node).k] then operands[#operands + 1] = node end
end

-- A body without statements has nothing that could be missed.
local function body(list, line, why)
  if #list > 0 then branch(list[1].at, line, why) end
end

local visit = {}

visit["if"] = function(node)
  local last
  for _, clause in ipairs(node.clauses) do
    last = clause
    operand(clause.cond)
    body(clause.body, line_of(clause.cond.at), "it is never true: " .. shown(clause.cond))
  end
  local why = "it is never false: " .. shown(last.cond)
  if node.otherwise then
    body(node.otherwise, node.otherwise[1] and line_of(node.otherwise[1].at) or 0, why)
  else
    branch(node.to - 2, line_of(last.cond.at), why, " else ", " ")
  end
end

function visit.func(node) body(node.body, line_of(node.at), "this function is never called") end

local function loop(node) body(node.body, line_of(node.at), "this loop never has a turn") end
visit["for"], visit.each = loop, loop
visit["while"] = function(node)
  operand(node.cond)
  loop(node)
end
visit["repeat"] = visit["while"]

function visit.binary(node)
  if node.op == "and" or node.op == "or" then operand(node.left) end
end

function visit.call(node)
  local title = walk.called(node) == "hypothesis" and node.args[1]
  if title and title.k == "string" then
    hypotheses[#hypotheses + 1] = { line = line_of(node.at), title = title.value }
  end
end

-- The text with what is inserted; as_text(insert) gives it.
local function inserted(source, list, as_text)
  local parts, done = {}, 0
  sort(list, function(a, b) return a.at < b.at end)
  for _, x in ipairs(list) do
    parts[#parts + 1] = string.sub(source, done + 1, x.at - 1)
    parts[#parts + 1] = as_text(x)
    done = x.at - 1
  end
  parts[#parts + 1] = string.sub(source, done + 1)
  return table.concat(parts)
end

local function as_function(name, text) return "local " .. name .. " = ... return function(...) " .. text .. "\nend" end

local function read(source)
  local wrong
  tree, wrong = syntax.parse(source)
  if not tree then host.error(wrong.message) end
  inserts, branches, hypotheses, operands = {}, {}, {}, {}
  walk.all(tree.body, function(node)
    if visit[node.k] then visit[node.k](node) end
  end)
end

--- { text, branches = { { line, why } }, hypotheses = { { line, title } } }. The compiler has the last word on what is a
--- program, so an error here is one of its own.
function cover.text(source)
  read(source)
  local name = walk.fresh_name(source, "__hit")
  local text = inserted(source, inserts, function(x) return x.before .. name .. "[" .. x.n .. "]=true;" .. x.after end)
  return { text = as_function(name, text), branches = host.array(branches), hypotheses = host.array(hypotheses) }
end

--- The form that notes decisions, too: a function gets (id, v) wherever a branch begins or something decides, gives v back, and
--- what is noted is id, or id + 1 if v is true. { text, program, branches, hypotheses }: branches have the numbers that they
--- have in cover.text. `program` is the code itself, which takes the function as its argument.
function cover.decided(source)
  read(source)
  local name = walk.fresh_name(source, "__hit")
  local list = {}
  for i, node in ipairs(operands) do
    list[#list + 1] = { at = node.at, text = string.format("%s(%d,", name, #branches + 2 * i - 1) }
  end
  for i = #operands, 1, -1 do list[#list + 1] = { at = operands[i].to + 1, text = ")" } end
  for _, x in ipairs(inserts) do
    list[#list + 1] = { at = x.at, text = string.format("%s%s(%d,true);%s", x.before, name, x.n - 1, x.after) }
  end
  local text = inserted(source, list, function(x) return x.text end)
  return { text = as_function(name, text), program = "local " .. name .. " = ... " .. text, branches = host.array(branches),
    hypotheses = host.array(hypotheses) }
end

return cover
