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

-- Programs that run: they end, and what they say and the errors they make depends on all that they do.

local values = { "0", "1", "2.5", "-3", "'x'", "'10'", "''", "nil", "true", "false", "n", "s", "t", "m", "z", "q", "f", "none",
  "1e308 * 10", "9223372036854775807" }
local keys = { "1", "'k'", "n", "s", "z", "q", "nil", "2.5", "#t", "'a' .. 1" }
local calls = { "string.find(@, @)", "string.format('%s %q', @)", "string.format('%d', @)", "string.sub(@, @)",
  "string.upper(@)", "string.len @", "math.max(@, @)", "math.floor(@)", "type(@)", "tostring(@)", "tonumber(@, @)",
  "table.concat({ @, @ })", "string.gsub(@, 'x', @)", "string.gsub(@, '.', function(c) return c == @ end)",
  "math.type(@)", "type()", "string.byte(@)", "f(@, @)", "f(@)", "m(@)", "n(@)", "t.k(@)", "t[1](@)", "bump()",
  "s:upper(@)", "s:find(@)", "t:none(@)", "string.rep(@, 2)", "utf8.len(@)", "(string.match)(@, @)", "say(@)",
  "string.format '%d'", "string.upper 'x'", "math.fmod(@, @)" }

local value

local function called(depth)
  return (string.gsub(pick(calls), "@", function() return value(depth - 1) end))
end

function value(depth)
  local way = depth <= 0 and 1 or math.random(12)
  if way <= 2 then return pick(values) end
  if way <= 5 then return value(depth - 1) .. " " .. pick { "<", "<=", ">", ">=", "==", "~=", "==" } .. " " .. value(depth - 1) end
  if way == 6 then return value(depth - 1) .. " " .. pick { "+", "-", "*", "..", "%", "//" } .. " " .. value(depth - 1) end
  if way == 7 then return value(depth - 1) .. pick { " and ", " or " } .. value(depth - 1) end
  if way == 8 then return pick { "not ", "-", "#" } .. value(depth - 1) end
  if way == 9 then return pick { "t", "s", "m", "n", "none", "f(t)" } .. pick { ".k", ".none.k", "[" .. pick(keys) .. "]" } end
  if way == 10 then return "( " .. value(depth - 1) .. " )" end
  if way == 11 then return "({ " .. value(depth - 1) .. ", [" .. pick(keys) .. "] = " .. value(depth - 1) .. " })[1]" end
  return called(depth)
end

local acts

local function some(depth)
  local parts = {}
  for i = 1, math.random(2) do parts[i] = pick(acts)(depth) end
  return table.concat(parts, " ; ")
end

acts = {
  function(d) return "say(" .. value(d) .. ")" end,
  function(d) return "say(" .. value(d) .. ", " .. value(d) .. ")" end,
  function(d) return pick { "n", "s", "z", "q", "t.k", "t[1]", "t[" .. pick(keys) .. "]" } .. " = " .. value(d) end,
  function(d) return "local " .. pick { "n", "s", "w" } .. " = " .. value(d) end,
  function(d)
    return "if " .. value(d) .. " then " .. some(d - 1) .. " elseif " .. value(d) .. " then " .. some(d - 1) .. " else "
      .. some(d - 1) .. " end"
  end,
  function(d) return "do local i = 0 while i < 2 and " .. value(d) .. " do i = i + 1 " .. some(d - 1) .. " end end" end,
  function(d) return "do local i = 0 repeat i = i + 1 " .. some(d - 1) .. " until i > 1 or " .. value(d) .. " end" end,
  function(d)
    return "for i = " .. pick { "1", "2.5", "'x'", "z", "nil" } .. ", " .. pick { "2", "#t", "n and 2", "s" }
      .. pick { "", "", ", 1", ", 0", ", -1" } .. " do say(i) " .. some(d - 1) .. " end"
  end,
  function(d) return "for k, v in pairs(t) do if k == " .. value(d) .. " then break end say(k) end" end,
  function(d) return "for i = 1, 3 do if " .. value(d) .. " then goto next end say(i) ::next:: end" end,
  function(d) return called(d) .. " " end,
  function(d) return "do local function g(n) return n == " .. value(d) .. " end say(g(" .. value(d) .. ")) end" end,
  function(d) return "do return " .. value(d) .. ", " .. value(d) .. " end" end,
}

local says = [[
local out = {}
local function say(...)
  for i = 1, select("#", ...) do
    local v = (select(i, ...))
    out[#out + 1] = type(v) == "table" and "table" or type(v) == "function" and "function" or tostring(v)
  end
end
]]

local head = says .. [[
local n, s, z, none = 5, "x10", 1
local t = { 10, "b", k = "v" }
local m = setmetatable({ k = 7 }, { __lt = function(a, b) say("lt", a, b) return true end, __le = function() return nil end,
  __eq = function(a, b) say "eq" return true end, __index = function(_, k) say("index", k) return k end,
  __len = function() error "no length" end,
  __call = function(_, ...) say("called", ...) return ... end })
local q = setmetatable({}, { __eq = function() error("not to be compared") end, __lt = function(a, b) error "no order" end })
local function f(...) return ... end
local function bump() z = (tonumber(z) or 0) + 1 return z end
]]

-- Some blanks become ends of lines; no text of a program has a blank in it.
local function broken_up(text)
  return (string.gsub(text, " ", function() return chance(12) and "\n" or chance(60) and " -- x\n" or nil end))
end

--- A program that runs; `try` must be a global of it.
function programs.runnable()
  local parts = { head }
  for i = 1, math.random(2, 12) do
    parts[i + 1] = broken_up("say(try(function() " .. some(3) .. " end))")
  end
  parts[#parts + 1] = chance(3) and broken_up(some(3)) or ""
  parts[#parts + 1] = "return table.concat(out, ' ')"
  return table.concat(parts, "\n")
end

local steps_head = says .. [[
local n, s, none = 5, "x10"
local z = 1
local t, m, q = { 10, "b", k = "v" }, { k = 7 }, {}
local function f(...) return ... end
local function bump() z = (tonumber(z) or 0) + 1 return z end
]]

local steps_acts

local function several(depth)
  local parts = {}
  for i = 1, math.random(3) do parts[i] = pick(steps_acts)(depth - 1) end
  return table.concat(parts, pick { " ; ", " " })
end

local function plain_value() return pick { "n", "'y'", "none", "t.k", "m.k", "#t", "z", "bump()", "f(n, s)", "n and s" } end
local function unsure(d) return chance(4) and value(1) or plain_value(d) end

steps_acts = {
  function(d) return "say(" .. unsure(d) .. ")" end,
  function() return pick { "n", "s", "z", "t.k", "t[1]", "m.q", "n, t.k" } .. " = " .. plain_value() .. " ;" end,
  function(d) return "local " .. pick { "n", "s", "w", "w, v" } .. " = " .. unsure(d) .. " ;" end,
  function() return "table." .. pick { "insert(t, " .. plain_value() .. ")", "remove(t)", "insert(q, t)" } end,
  function() return "local function g(x) say(x, z) return bump() end say(g(" .. plain_value() .. "))" end,
  function() return "say(try(function() say(" .. value(2) .. ") end))" end,
  function(d)
    if d <= 0 then return "bump()" end
    return "if " .. unsure(d) .. " then " .. several(d) .. " elseif " .. plain_value() .. " == " .. plain_value() .. " then "
      .. several(d) .. pick { "", " else " .. several(d) } .. " end"
  end,
  function(d) return d <= 0 and "say(z)" or "for i = 0, 2 do say(i) " .. several(d) .. " end" end,
  function(d) return d <= 0 and "say(s)" or "for _, x in ipairs(m) do say(_, x, m[3]) " .. several(d) .. " end" end,
  function() return chance(8) and "do return " .. plain_value() .. " end" or "say(#t)" end,
}

--- A program that runs and is often made of steps; an error of its own ends it.
function programs.in_steps()
  local parts = { steps_head }
  for i = 1, math.random(3, 12) do parts[i + 1] = broken_up(pick(steps_acts)(2)) end
  parts[#parts + 1] = "return table.concat(out, ' ')"
  return table.concat(parts, "\n")
end

--- A text that is often a program.
function programs.any() return block(4) end

return programs
