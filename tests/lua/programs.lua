-- SPDX-License-Identifier: Apache-2.0
-- Programs from a grammar, by math.random: `any` for the parser (many are wrong on purpose: gotos, attributes, varargs),
-- `runnable` to be run twice and compared.

local programs = {}

local function pick(list) return list[math.random(#list)] end
local function chance(n) return math.random(n) == 1 end

local names = { "a", "b", "c", "d", "x", "y", "_ENV", "self", "f" }
local numbers = { "0", "1", "3.5", ".5", "1e3", "0x1F", "0x.8p1", "0xA.", "1//1", "9007199254740993", "9223372036854775808",
  "0xffffffffffffffffff", "1e308", "2^53" }
local texts = { "'a'", '"b\\n"', "[[long\ntext]]", "[==[ ]] ]==]", "'\\x41\\u{48}\\065\\z   b'", '"\\\n"' }
local binary = { "+", "-", "*", "/", "//", "%", "^", "..", "&", "|", "~", "<<", ">>", "==", "~=", "<", "<=", ">", ">=", "and",
  "or" }
local unary = { "-", "not ", "#", "~" }

local expression, block

local function list_of(make, most)
  local parts = {}
  for i = 1, math.random(most) do parts[i] = make() end
  return table.concat(parts, ", ")
end

local function target(depth)
  local text = pick(names)
  while chance(3) do
    text = text .. (chance(2) and "." .. pick(names) or "[" .. expression(depth - 1) .. "]")
  end
  return text
end

local function call(depth)
  local head = chance(4) and "(" .. expression(depth - 1) .. ")" or target(depth)
  if chance(4) then head = head .. ":" .. pick(names) end
  local way = math.random(5)
  if way == 1 then return head .. pick(texts) end
  if way == 2 then return head .. "{ " .. expression(depth - 1) .. " }" end
  if way == 3 then return head .. "()" end
  return head .. "(" .. list_of(function() return expression(depth - 1) end, 3) .. ")"
end

local function item(depth)
  local way = math.random(3)
  if way == 1 then return pick(names) .. " = " .. expression(depth - 1) end
  if way == 2 then return "[" .. expression(depth - 1) .. "] = " .. expression(depth - 1) end
  return expression(depth - 1)
end

local function func(depth)
  local params = chance(3) and "" or list_of(function() return pick(names) end, 3)
  if chance(3) then params = params == "" and "..." or params .. ", ..." end
  return "(" .. params .. ") " .. block(depth - 1) .. " end"
end

function expression(depth)
  local way = depth <= 0 and math.random(4) or math.random(11)
  if way == 1 then return pick(numbers) end
  if way == 2 then return pick(texts) end
  if way == 3 then return pick(names) end
  if way == 4 then return pick { "nil", "true", "false", "..." } end
  if way == 5 then return pick(unary) .. expression(depth - 1) end
  if way == 6 then return "(" .. expression(depth - 1) .. ")" end
  if way == 7 then return call(depth) end
  if way == 8 then return "{ " .. list_of(function() return item(depth) end, 4) .. pick { "", ",", ";" } .. " }" end
  if way == 9 then return "function" .. func(depth) end
  return expression(depth - 1) .. pick { " ", "\n" } .. pick(binary) .. " " .. expression(depth - 1)
end

local function locals()
  return list_of(function() return pick(names) .. pick { "", "", "", "", " <const>", " <close>", "<odd>" } end, 3)
end

local statements = {
  function(d) return "local " .. locals() .. (chance(4) and "" or " = " .. list_of(function() return expression(d - 1) end, 3)) end,
  function(d)
    return list_of(function() return target(d) end, 3) .. " = " .. list_of(function() return expression(d - 1) end, 3)
  end,
  function(d) return call(d) end,
  function(d) return "do " .. block(d - 1) .. " end" end,
  function(d) return "while " .. expression(d - 1) .. " do " .. block(d - 1) .. " end" end,
  function(d) return "repeat " .. block(d - 1) .. " until " .. expression(d - 1) end,
  function(d)
    return "if " .. expression(d - 1) .. " then " .. block(d - 1)
      .. (chance(2) and " elseif " .. expression(d - 1) .. " then " .. block(d - 1) or "")
      .. (chance(2) and " else " .. block(d - 1) or "") .. " end"
  end,
  function(d)
    return "for " .. pick(names) .. " = " .. expression(d - 1) .. ", " .. expression(d - 1)
      .. (chance(3) and ", " .. expression(d - 1) or "") .. " do " .. block(d - 1) .. " end"
  end,
  function(d) return "for " .. list_of(function() return pick(names) end, 3) .. " in " .. expression(d - 1) .. " do "
    .. block(d - 1) .. " end" end,
  function(d) return "function " .. pick(names) .. pick { "", ".a", ".b.c", ":m", ".a:m" } .. func(d) end,
  function(d) return "local function " .. pick(names) .. func(d) end,
  function() return pick { "break", "goto l", "goto m", "::l::", "::m::", ";", "::l:: ;" } end,
}

function block(depth)
  local parts = {}
  for i = 1, math.random(0, depth <= 0 and 1 or 4) do
    parts[i] = pick(statements)(math.min(depth, 2))
  end
  if chance(6) then
    parts[#parts + 1] = "return " .. (chance(2) and expression(depth - 1) or "") .. (chance(3) and ";" or "")
  end
  return table.concat(parts, pick { "\n", " ", "; " })
end

--- A text that is often a program.
function programs.any() return block(4) end

return programs
