-- SPDX-License-Identifier: Apache-2.0
-- Texts for witnesses: one that a pattern matches, and whether a text is what a path takes it for.

local symbols = host.module("symbols")
local text = host.module("text")

local texts = {}

local classes = { a = "a", d = "1", l = "a", u = "A", w = "a", s = " ", p = ".", x = "a", A = "1", D = "x", L = "A", U = "a",
  W = " ", S = "x", P = "a", X = "x" }

-- The item of a pattern at i: a text for it, and the place of its last byte; nil for what has no text that is easy to find.
local function item(pattern, i)
  local c = string.sub(pattern, i, i)
  if c == "." then return "x", i end
  if c == "%" then
    local class = string.sub(pattern, i + 1, i + 1)
    if string.find(class, "[bf%d]") then return nil end
    return classes[class] or class, i + 1
  end
  if c ~= "[" then return c, i end
  local close = string.find(pattern, "]", string.find(pattern, "^%[%^?%]", i) and i + 3 or i + 1, true)
  if not close then return nil end
  local set = string.sub(pattern, i, close)
  for byte = 122, 32, -1 do
    if string.find(string.char(byte), set) then return string.char(byte), close end
  end
end

--- A text in which the pattern is found, or nil. captures: place -> the text that this capture is to be.
function texts.sample(pattern, captures)
  local out, open, count, i = {}, {}, 0, string.sub(pattern, 1, 1) == "^" and 2 or 1
  while i <= #pattern do
    local c = string.sub(pattern, i, i)
    if c == "$" and i == #pattern then break end
    if c == "(" then
      count = count + 1
      open[#open + 1] = { place = count, from = #out + 1 }
    elseif c == ")" and #open > 0 then
      local capture = table.remove(open)
      if captures and captures[capture.place] then
        for k = #out, capture.from, -1 do out[k] = nil end
        out[#out + 1] = captures[capture.place]
      end
    else
      local said, last = item(pattern, i)
      if not said then return nil end
      local quantifier = string.sub(pattern, last + 1, last + 1)
      if string.find(quantifier, "[*?-]") then said = "" end
      out[#out + 1] = said
      i = string.find(quantifier, "[*+?-]") and last + 1 or last
    end
    i = i + 1
  end
  local s = table.concat(out)
  return string.find(s, pattern) and s or nil
end

local function members(list)
  local out = {}
  for word in string.gmatch(list, '"([^"]*)"') do out[#out + 1] = word end
  return out
end

local function literal(s)
  return string.match(s, '^"(.*)"$') or tonumber(s) or s == "true" or (s ~= "false" and nil)
end

local less = {
  ["<"] = function(a, b) return a < b end, ["<="] = function(a, b) return a <= b end, [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
}

-- A comparison of a value of unknown type with a number: how, and with which.
local function comparison(key)
  local op, number = string.match(key, "^([<>]=?)any[^,]*,(%-?%d+%.?%d*)$")
  return op, tonumber(number)
end

-- What a question that was remembered by its text says of v; nil if that cannot be told from the text.
local function answer(var, key, v)
  if var.one_has and var.one_has[key] then return text.has(v, table.unpack(var.one_has[key])) end
  if key == "number" then return tonumber(v) ~= nil end
  if key == "integer" then return v % 1 == 0 end
  if key == "truth" then return v and true or false end
  local equal = string.match(key, "^==(.*)$")
  if equal then
    equal = literal(equal)
    if equal == nil then return nil end
    return v == equal
  end
  local how, number = comparison(key)
  if how then return less[how](v, number) end
  local op, version = string.match(key, '^version .* ([<>=~]=?)"([^"]*)"$')
  if op then return text.version(v, op, version) end
  local list = string.match(key, "^.* in {(.*)}$")
  if not list or #members(list) == 0 then return nil end
  for _, word in ipairs(members(list)) do
    if word == v then return true end
  end
  return false
end

--- False if what is remembered of the variable contradicts that it is v.
function texts.agrees(var, v)
  for key, said in pairs(var.facts or {}) do
    local ok, holds = host.pcall(answer, var, key, v)
    if ok and holds ~= nil and holds ~= said then return false end
  end
  return type(v) ~= "string" or symbols.text_may_be(var, v)
end

--- Values that the questions about the variable speak of, those first that are to be true.
function texts.candidates(var)
  local list, together = {}, {}
  local function add(v) list[#list + 1] = v end
  for key, yes in pairs(var.facts or {}) do
    local part = string.match(key, "^==(.*)$")
    if part and literal(part) ~= nil then add(literal(part)) end
    local version = string.match(key, '^version .*[<>=~]=?"([^"]*)"$')
    if version then
      add(version)
      add(version .. ".1")
      add("0")
      add("999")
    end
    for _, word in ipairs(members(string.match(key, "^.* in {(.*)}$") or "")) do add(word) end
    for _, word in ipairs(yes and var.one_has and var.one_has[key] or {}) do add(word) end
    if key == "number" then add("1") end
    local _, number = comparison(key)
    for step = -1, number and 1 or -2 do add(number + step) end
  end
  for _, asked in ipairs(var.asked or {}) do
    local one = asked.answer and (asked.how == "has" and asked.part or texts.sample(asked.part))
    if one then
      add(one)
      together[#together + 1] = one
    end
  end
  if #together > 1 then add(table.concat(together, " ")) end
  return list
end

return texts
