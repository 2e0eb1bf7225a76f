-- SPDX-License-Identifier: Apache-2.0
-- The words of Lua 5.4, as the compiler of this program reads them. The whole text at once, into lists by
-- number of the token; a text that ends in nonsense has a last token "error", which is raised when it is reached.

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local concat, char = table.concat, string.char

local lexer = {}

local reserved = {}
for _, word in ipairs { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" } do reserved[word] = word end

--- Words that cannot be names.
lexer.reserved = reserved

local doubles = {
  ["=="] = true, ["~="] = true, ["<="] = true, [">="] = true, ["//"] = true, ["::"] = true, ["<<"] = true, [">>"] = true,
  [".."] = true,
}
local escapes = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v", ["\\"] = "\\", ['"'] = '"',
  ["'"] = "'" }

local text, starts          -- of the call that is running

local function bad(at, message) return nil, at, message end

-- The place behind a line's end at `at`: "\r\n" and "\n\r" are one.
local function new_line(at)
  local next = byte(text, at + 1)
  local after = (next == 10 or next == 13) and next ~= byte(text, at) and at + 2 or at + 1
  starts[#starts + 1] = after
  return after
end

-- Notes the lines that begin between the two places.
local function lines_between(from, to)
  local at = find(text, "[\r\n]", from)
  while at and at <= to do at = find(text, "[\r\n]", new_line(at)) end
end

-- The level of a long bracket at `at`, or nil; then whether it only looked like one ("[=x").
local function long_level(at)
  local _, e = find(text, "^%[=*", at)
  if byte(text, e + 1) == 91 then return e - at end
  return nil, e > at
end

-- Returns the value and the last place of a long bracket.
local function long_text(at, level)
  local _, e = find(text, "]" .. string.rep("=", level) .. "]", at + level + 2, true)
  if not e then return bad(#text + 1, "unfinished long string or comment") end
  lines_between(at, e)
  return sub(text, at + level + 2, e - level - 2), e
end

local function utf8_escape(at)
  local _, e, digits = find(text, "^{(%x+)}", at)
  if not e then return bad(at, "invalid \\u{hex} in a string") end
  digits = string.gsub(digits, "^0+", "")
  local code = #digits <= 8 and (tonumber(digits, 16) or 0)
  if not code or code > 0x7fffffff then return bad(at, "UTF-8 value too large") end
  return utf8.char(code), e
end

-- One escape; `at` is behind the backslash. Returns its value and its last place.
local function escape(at)
  local c = sub(text, at, at)
  if escapes[c] then return escapes[c], at end
  if c == "\n" or c == "\r" then return "\n", new_line(at) - 1 end
  if c == "x" then
    local _, e, digits = find(text, "^(%x%x)", at + 1)
    if not e then return bad(at, "hexadecimal digit expected in a string") end
    return char(tonumber(digits, 16)), e
  end
  if c == "u" then return utf8_escape(at + 1) end
  if c == "z" then
    local _, e = find(text, "^%s*", at + 1)
    lines_between(at + 1, e)
    return "", e
  end
  local _, e, digits = find(text, "^(%d%d?%d?)", at)
  if not e then return bad(at, c == "" and "unfinished string" or "invalid escape sequence in a string") end
  if tonumber(digits) > 255 then return bad(at, "decimal escape too large in a string") end
  return char(tonumber(digits)), e
end

local stops = { [34] = '["\\\r\n]', [39] = "['\\\r\n]" }

local function short_text(at, quote)
  local from, stop, parts = at + 1, stops[quote], nil
  while true do
    local e = find(text, stop, from)
    local c = e and byte(text, e)
    if c == quote then
      if not parts then return sub(text, from, e - 1), e end
      parts[#parts + 1] = sub(text, from, e - 1)
      return concat(parts), e
    end
    if c ~= 92 then return bad(e or #text + 1, "unfinished string") end
    local value, last, message = escape(e + 1)
    if not value then return nil, last, message end
    parts = parts or {}
    parts[#parts + 1] = sub(text, from, e - 1)
    parts[#parts + 1] = value
    from = last + 1
  end
end

-- As the compiler does: everything that could belong to a number, and then it is one or it is not.
local function number(at)
  local hex = find(text, "^0[xX]", at)
  local exponent, e = hex and "^[pP][+-]?" or "^[eE][+-]?", hex and at + 1 or at
  while true do
    local _, last = find(text, exponent, e + 1)
    if not last then _, last = find(text, "^[%x.]", e + 1) end
    if not last then break end
    e = last
  end
  if find(text, "^[%a_]", e + 1) then e = e + 1 end
  local value = tonumber(sub(text, at, e))
  if not value then return bad(at, "malformed number near '" .. sub(text, at, e) .. "'") end
  return value, e
end

-- The last place of a comment at `at`; or nil, place and message.
local function comment(at)
  local level = byte(text, at + 2) == 91 and long_level(at + 2)
  if level then
    local value, e, message = long_text(at + 2, level)
    if not value then return nil, e, message end
    return e
  end
  return (find(text, "[\r\n]", at + 2) or #text + 1) - 1
end

-- A token that is no word and no blank: kind, last place, value; or nil, place and message.
local function symbol(at, b)
  if b == 34 or b == 39 then
    local value, e, message = short_text(at, b)
    if not value then return nil, e, message end
    return "string", e, value
  end
  if b == 91 then
    local level, broken = long_level(at)
    if broken then return bad(at, "invalid long string delimiter") end
    if not level then return "[", at end
    local value, e, message = long_text(at, level)
    if not value then return nil, e, message end
    if find(value, "^[\r\n]") then value = string.gsub(value, "^\r?\n?\r?", "", 1) end
    return "string", e, value
  end
  if (b >= 48 and b <= 57) or (b == 46 and find(text, "^%d", at + 1)) then
    local value, e, message = number(at)
    if not value then return nil, e, message end
    return "number", e, value
  end
  if b == 46 and sub(text, at, at + 2) == "..." then return "...", at + 2 end
  local two = sub(text, at, at + 1)
  if doubles[two] then return two, at + 1 end
  return sub(text, at, at), at
end

local is_letter, alone = {}, {}
for b = 0, 255 do is_letter[b] = find(char(b), "^[%a_]") and true or false end
for c in string.gmatch("(){},;]+*%^#&|", ".") do alone[byte(c)] = c end

-- What is neither a word, a blank nor alone: a symbol, a text, a number; a comment has no kind. Kind, last place, value;
-- or "error", place and message.
local function other(at, b)
  local kind, e, value
  if b == 45 and byte(text, at + 1) == 45 then
    e, kind, value = comment(at)
    if e then return nil, e end
    return "error", kind, value
  end
  kind, e, value = symbol(at, b)
  return kind or "error", e, value
end

--- Returns { kinds, from, to, values, starts, n }: `kinds` are words and operators as they are written, "name", "string",
-- "number", "eof" or, as the last one, "error" with its message as value. `starts` are the places where lines begin.
function lexer.read(source)
  text, starts = source, { 1 }
  local kinds, from, to, values = {}, {}, {}, {}
  local at, n, length = 1, 0, #source
  while true do
    local b = byte(source, at)
    if b == 32 or b == 9 then
      at = at + 1
      b = byte(source, at)
      if b == 32 or b == 9 then
        at = find(source, "[^ \t]", at) or length + 1
        b = byte(source, at)
      end
    end
    if not b then break end
    if is_letter[b] then
      local word = match(source, "^[%w_]*", at)
      n = n + 1
      local e = at + #word
      kinds[n], from[n], to[n], values[n] = reserved[word] or "name", at, e - 1, word
      at = e
    elseif alone[b] then
      n = n + 1
      kinds[n], from[n], to[n] = alone[b], at, at
      at = at + 1
    elseif b == 10 or b == 13 then
      at = new_line(at)
    elseif b == 11 or b == 12 then
      at = at + 1
    else
      local kind, e, value = other(at, b)
      if kind then
        n = n + 1
        kinds[n], from[n], to[n], values[n] = kind, kind == "error" and e or at, e, value
        if kind == "error" then break end
      end
      at = e + 1
    end
  end
  if kinds[n] ~= "error" then
    n = n + 1
    kinds[n], from[n], to[n] = "eof", length + 1, length
  end
  return { kinds = kinds, from = from, to = to, values = values, starts = starts, n = n }
end

return lexer
