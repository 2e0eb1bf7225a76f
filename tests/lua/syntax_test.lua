-- SPDX-License-Identifier: Apache-2.0
-- The parser and the compiler side by side: both must take or refuse a text. Three sources of texts: those of this
-- repository, the same with tokens dropped, doubled, swapped and replaced, and programs that a grammar makes.

local syntax = host.module("syntax")
local lexer = host.module("syntax_lexer")
local programs = host.module("programs")

local test = {}

local function show(text) return #text > 1500 and string.sub(text, 1, 1500) .. "..." or text end

-- nil if both agree. What the run refuses before the compiler sees it (chains of accesses) says nothing.
local function differ(text)
  local compiled, why = load(text, "=t", "t")
  if not compiled and string.find(why, "field accesses", 1, true) then return nil end
  local tree, wrong = syntax.parse(text)
  if (compiled ~= nil) == (tree ~= nil) then return nil end
  if why and string.find(why, "C stack overflow", 1, true) then return nil end
  return string.format("the compiler says: %s\nthe parser says: %s\n%s", compiled and "fine" or why,
    tree and "fine" or wrong.line .. ":" .. wrong.column .. ": " .. wrong.message, show(text))
end

local function pick(list) return list[math.random(#list)] end

local spare = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
  "not", "or", "repeat", "return", "then", "true", "until", "while", "+", "-", "*", "/", "//", "%", "^", "#", "&", "~", "|",
  "<<", ">>", "==", "~=", "<=", ">=", "<", ">", "=", "(", ")", "{", "}", "[", "]", "::", ";", ":", ",", ".", "..", "...",
  "x", "y", "_ENV", "self", "<const>", "<close>", "1", "0x", "0x.8p1", "1e", "3..2", ".5", "0xA.p-2", "1e+5", "'a'", '"\\x41"',
  '"\\u{7fffffff}"', '"\\u{80000000}"', "'\\300'", "'\\z  \n'", "[[l]]", "[==[", "]==]", "--[[", "--", "\n", "\"", "'\\q'", "@",
  "\0", "\r\n", "goto l", "::l::", "break", "local function f() end", "x.y.z", "f'a'", "a:b{}", "function(...) end",
}

-- The text with a few tokens changed.
local function mutated(text)
  local tokens = lexer.read(text)
  local parts, last = {}, 1
  for i = 1, tokens.n do
    if tokens.kinds[i] == "eof" or tokens.kinds[i] == "error" then break end
    parts[#parts + 1] = string.sub(text, last, tokens.from[i] - 1)
    parts[#parts + 1] = string.sub(text, tokens.from[i], tokens.to[i])
    last = tokens.to[i] + 1
  end
  parts[#parts + 1] = string.sub(text, last)
  if #parts < 4 then return text end
  for _ = 1, math.random(3) do
    local at, way = math.random(#parts), math.random(6)
    if way == 1 then parts[at] = ""
    elseif way == 2 then parts[at] = parts[at] .. " " .. parts[at]
    elseif way == 3 then parts[at] = " " .. pick(spare) .. " "
    elseif way == 4 then parts[at] = parts[at] .. " " .. pick(spare) .. " "
    elseif way == 5 then local other = math.random(#parts) parts[at], parts[other] = parts[other], parts[at]
    else parts[at] = string.char(math.random(0, 255)) .. parts[at] end
  end
  return table.concat(parts)
end

-- A piece of a text that begins and ends with a line, so that mutations are not lost in a long one.
local function piece(text)
  if #text < 400 then return text end
  local from = math.random(#text - 300)
  from = (string.find(text, "\n", from, true) or 0) + 1
  local to = string.find(text, "\n", from + math.random(1500), true) or #text
  return string.sub(text, from, to)
end

--- texts as they are.
function test.same(texts)
  for _, text in ipairs(texts) do
    local wrong = differ(text)
    if wrong then return wrong end
  end
  return "ok"
end

--- `count` mutations of the texts; the answer counts how many of them the compiler took.
function test.mutate(texts, count)
  local taken = 0
  for n = 1, count do
    local text = pick(texts)
    if math.random(2) == 1 then text = piece(text) end
    text = mutated(text)
    if #text < 60000 then
      local wrong = differ(text)
      if wrong then return "mutation " .. n .. ": " .. wrong end
      if load(text, "=t", "t") then taken = taken + 1 end
    end
  end
  return "ok", taken
end

--- `count` programs of the grammar, and a mutation of each.
function test.generate(count)
  local taken = 0
  for n = 1, count do
    local text = programs.any()
    local wrong = differ(text) or differ(mutated(text))
    if wrong then return "program " .. n .. ": " .. wrong end
    if load(text, "=t", "t") then taken = taken + 1 end
  end
  return "ok", taken
end

--- What the parser says of one text: "" or "line:column: message".
function test.refusal(text)
  local tree, wrong = syntax.parse(text)
  return tree and "" or string.format("%d:%d: %s", wrong.line, wrong.column, wrong.message)
end

local function repeated(n, make, between)
  local parts = {}
  for i = 1, n do parts[i] = make(i) end
  return table.concat(parts, between or ", ")
end

local function name_of(i) return "v" .. i end

-- Texts by size: somewhere between the two numbers the compiler gives up.
local limits = {
  { 195, 205, function(n) return "local " .. repeated(n, name_of) end },
  { 195, 205, function(n) return repeated(n, function(i) return "local v" .. i .. " <const> = " .. i end, "\n") end },
  { 195, 205, function(n) return "local function f(" .. repeated(n, name_of) .. ") end" end },
  { 190, 205, function(n) return "local " .. repeated(n, name_of) .. " for i = 1, 2 do end" end },
  { 190, 205, function(n) return "local " .. repeated(n, name_of) .. " for i in f do end" end },
  { 190, 205, function(n) return "local " .. repeated(n, name_of) .. " function a:b(...) local c end" end },
  { 50, 60, function(n)
    return "local " .. repeated(199, name_of) .. " local function f() local " .. repeated(n, function(i) return "w" .. i end)
      .. " return function() return " .. repeated(199, name_of, " + ") .. " + " .. repeated(n, function(i) return "w" .. i end, " + ")
      .. " end end"
  end },
  { 50, 60, function(n)
    return "local " .. repeated(199, name_of) .. " local function f() local " .. repeated(n, function(i) return "w" .. i end)
      .. " return function() return x + " .. repeated(199, name_of, " + ") .. " + "
      .. repeated(n, function(i) return "w" .. i end, " + ") .. " end end"
  end },
  { 240, 260, function(n) return "f(" .. repeated(n, name_of) .. ")" end },
  { 240, 260, function(n) return "return " .. repeated(n, name_of) end },
  { 240, 260, function(n) return "local a a = " .. repeated(n, tostring) end },
  { 240, 260, function(n) return "local a, b, c f(x, a, g(" .. repeated(n, name_of) .. "))" end },
  { 240, 260, function(n) return "a:b(" .. repeated(n, name_of) .. ")" end },
  { 190, 260, function(n) return "return f(" .. repeated(n, name_of) .. ", { " .. repeated(49, tostring) .. " })" end },
}

local nested = {
  function(n) return "return " .. string.rep("(", n) .. "1" .. string.rep(")", n) end,
  function(n) return "return " .. string.rep("-", n, " ") .. " 1" end,
  function(n) return "return " .. repeated(n, name_of, " .. ") end,
  function(n) return "return " .. repeated(n, name_of, " ^ ") end,
  function(n) return "return " .. repeated(n, name_of, " + ") end,
  function(n) return string.rep("do ", n) .. string.rep(" end", n) end,
  function(n) return string.rep("if x then else ", n) .. string.rep(" end", n) end,
  function(n) return repeated(n, name_of) .. " = 1" end,
  function(n) return "return " .. string.rep("function() return ", n // 2) .. "1" .. string.rep(" end", n // 2) end,
  function(n) return "return " .. string.rep("{", n) .. string.rep("}", n) end,
  function(n) return string.rep("::a", n, "::") .. "::" end,
}

--- A text nested n deep in way number `way`, and whether the parser takes it; nil beyond the last way. How deep the
-- compiler goes depends on who calls it, so this one is compared by C.
function test.nested(way, n)
  if not nested[way] then return nil end
  local text = nested[way](n)
  return text, syntax.parse(text) ~= nil
end

--- Both give up at the same size.
function test.limits()
  local found = {}
  for number, limit in ipairs(limits) do
    local took, refused
    for n = limit[1], limit[2] do
      local wrong = differ(limit[3](n))
      if wrong then found[#found + 1] = string.format("limit %d at %d: %s", number, n, string.sub(wrong, 1, 150)) end
      if load(limit[3](n), "=t", "t") then took = true else refused = true end
    end
    if not took then found[#found + 1] = "limit " .. number .. " is always refused" end
    if not refused then found[#found + 1] = "limit " .. number .. " is never reached" end
  end
  return #found == 0 and "ok" or table.concat(found, "\n")
end

--- Parses the text n times; for the clock outside.
function test.parse(text, n)
  for _ = 1, n do
    if not syntax.parse(text) then return "refused" end
  end
  return "ok"
end

function test.agree(text) return differ(text) or "ok" end

return test
