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

function test.agree(text) return differ(text) or "ok" end

return test
