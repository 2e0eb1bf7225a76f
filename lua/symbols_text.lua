-- SPDX-License-Identifier: Apache-2.0
-- What the libraries make of symbols: texts that are searched, cut and joined, numbers that are rounded.

local fork = host.module("fork")
local symbols = host.module("symbols")

local compute, spell, free = symbols.compute, symbols.spell, symbols.free
local by = symbols.by

-- What the text was asked: { kind, part } -> the answer of a plain text.
local asks = {
  has = function(s, part) return string.find(s, part, 1, true) ~= nil end,
  matches = function(s, pattern) return string.find(s, pattern) ~= nil end,
}

--- False if what is known of the text contradicts that it is v.
function symbols.text_may_be(var, v)
  for _, asked in ipairs(var.asked or {}) do
    if asks[asked.how](v, asked.part) ~= asked.answer then return false end
  end
  return true
end

local function ask(v, how, part)
  local var = symbols.of(v).var
  for _, asked in ipairs(var.asked or {}) do
    if asked.how == how and asked.part == part then
      fork.look(var.id)
      return asked.answer
    end
  end
  local said = spell(v) .. " " .. how .. " " .. spell(part)
  local no = spell(v) .. (how == "has" and " has no " or " does not match ") .. spell(part)
  local answer = free(var, how .. ":" .. part, said, no)
  symbols.put(var, "asked", var.asked and #var.asked + 1 or 1, { how = how, part = part, answer = answer })
  return answer
end

local function captures(pattern)
  local n, bare = 0, string.gsub(string.gsub(pattern, "%%.", ""), "%[[^%]]*%]", "")
  for _ in string.gmatch(bare, "%(") do n = n + 1 end
  return n
end

-- The captures of a match, as texts.
local function captured(v, pattern, name)
  local n, list = captures(pattern), {}
  for i = 1, math.max(n, 1) do
    local text = string.format("%s(%s)", name, spell(v)) .. (n > 1 and "#" .. i or "")
    list[i] = compute("string", text, { op = name, v, pattern, i })
  end
  return list
end

-- A pattern that is not known, or a place to begin from: whether it matches is a question of its own.
local function asked(name, v, pattern, init, is_plain)
  local part = symbols.plain(pattern)
  if symbols.kind(v) == "string" and symbols.of(v) and type(part) == "string" and not init then
    return ask(v, is_plain and "has" or "matches", part)
  end
  local data = symbols.of(v) or symbols.of(pattern)
  local text = string.format("%s(%s, %s)", name, spell(v), spell(pattern))
  return free(data.var, text, text, "no " .. text)
end

local calls = {}

function calls.find(_, v, pattern, init, is_plain)
  local begins = init == nil or init == 1
  if not asked("find", v, pattern, not begins and init or nil, is_plain) then return nil end
  local data = spell(v) .. ", " .. spell(pattern)
  local from = compute("number", "find(" .. data .. ")", { op = "find", v, pattern }, { integer = true, lo = 1 })
  local to = compute("number", "end of find(" .. data .. ")", { op = "find_end", v, pattern }, { integer = true, lo = 0 })
  if is_plain or captures(symbols.plain(pattern)) == 0 then return from, to end
  return from, to, table.unpack(captured(v, symbols.plain(pattern), "match"))
end

function calls.match(_, v, pattern, init)
  if not asked("match", v, pattern, init) then return nil end
  return table.unpack(captured(v, symbols.plain(pattern), "match"))
end

local function describe_matches(choice, text)
  return (choice == 1 and "no " or choice == 2 and "one " or "many ") .. text
end

function calls.gmatch(_, v, pattern)
  local list = captured(v, symbols.plain(pattern), "gmatch")
  local left = fork.choose(3, spell(v), describe_matches, "match of " .. spell(pattern) .. " in " .. spell(v)) - 1
  return function()
    if left == 0 then return nil end
    left = left - 1
    return table.unpack(list)
  end
end

function calls.gsub(_, v, pattern, replacement)
  local text = string.format("gsub(%s, %s)", spell(v), spell(pattern))
  local by_what = type(replacement) == "string" and replacement or "?"
  return compute("string", text, { op = "gsub", v, pattern, by_what }),
    compute("number", "count of " .. text, { op = "gsub_count", v, pattern }, { integer = true, lo = 0 })
end

function calls.len(_, v) return symbols.length(v) end

function calls.byte(_, v, at)
  local text = string.format("byte(%s)", spell(v))
  return compute("number", text, { op = "byte", v, at or 1 }, { integer = true, lo = 0, hi = 255 })
end

function calls.format(_, ...)
  local args, parts = table.pack(...), {}
  for i = 1, args.n do parts[i] = spell(args[i]) end
  args.op = "format"
  return compute("string", "format(" .. table.concat(parts, ", ") .. ")", args)
end

for _, name in ipairs { "lower", "upper", "sub", "rep", "reverse" } do
  calls[name] = function(_, v, ...)
    local args, text = table.pack(v, ...), spell(v)
    args.op = name
    for i = 2, args.n do text = text .. ", " .. spell(args[i]) end
    return compute("string", name .. "(" .. text .. ")", args)
  end
end

-- type, tonumber, tostring

function calls.type(f, v)
  local kind = symbols.kind(v)
  if kind == "any" then fork.bound("a type", "the type of " .. spell(v) .. " is not known") end
  if f == math.type then
    if kind ~= "number" then return nil end
    local _, _, integer = symbols.interval(v)
    return integer and "integer" or "float"
  end
  return kind
end

function calls.tonumber(_, v, base)
  if symbols.kind(v) == "number" then return v end
  local data = symbols.of(v)
  if not free(data.var, "number", spell(v) .. " is a number", spell(v) .. " is no number") then return nil end
  return compute("number", "tonumber(" .. spell(v) .. ")", { op = "tonumber", v, base }, { integer = base ~= nil })
end

function calls.tostring(_, v)
  if symbols.kind(v) == "string" then return v end
  return compute("string", spell(v), { op = "tostring", v })
end

-- table.concat of a symbol; lists that hold some: symbols.concat
function calls.concat(_, list) fork.bound("a list", "the elements of " .. spell(list) .. " are not known") end

-- math

local function must_be_number(name, v)
  local kind = symbols.kind(v)
  if kind ~= "number" and kind ~= "any" then
    host.fail(string.format("bad argument #1 to '%s' (number expected, got %s)", name, kind))
  end
end

local function rounding(name, f)
  calls[name] = function(_, v)
    must_be_number(name, v)
    if symbols.kind(v) ~= "number" then return compute("number", name .. "(" .. spell(v) .. ")", { op = name, v }) end
    local lo, hi, integer = symbols.interval(v)
    if integer then return v end
    local bounds = { integer = true, lo = lo > -math.huge and f(lo) or nil, hi = hi < math.huge and f(hi) or nil }
    return compute("number", name .. "(" .. spell(v) .. ")", { op = name, v }, bounds)
  end
end
rounding("floor", math.floor)
rounding("ceil", math.ceil)

function calls.tointeger(_, v)
  must_be_number("tointeger", v)
  local _, _, integer = symbols.interval(v)
  if integer then return v end
  local data = symbols.of(v)
  if not free(data.var, "integer", spell(v) .. " is whole", spell(v) .. " is not whole") then return nil end
  return compute("number", spell(v), { op = "tointeger", v }, { integer = true })
end

function calls.abs(_, v)
  must_be_number("abs", v)
  local lo, hi, integer = symbols.interval(v)
  if lo >= 0 then return v end
  local bounds = { integer = integer, lo = hi < 0 and -hi or 0, hi = math.max(-lo, hi) }
  return compute("number", "abs(" .. spell(v) .. ")", { op = "abs", v }, bounds)
end

function calls.sqrt(_, v)
  must_be_number("sqrt", v)
  return compute("number", "sqrt(" .. spell(v) .. ")", { op = "sqrt", v }, { lo = 0 })
end

function calls.fmod(_, a, b)
  return compute("number", "fmod(" .. spell(a) .. ", " .. spell(b) .. ")", { op = "fmod", a, b })
end

-- min and max do not fork: what they give is a number between the bounds of all.
local function extreme(name, f)
  calls[name] = function(_, ...)
    local args, parts = table.pack(...), {}
    local bounds = { integer = true }
    for i = 1, args.n do
      must_be_number(name, args[i])
      local lo, hi, integer = symbols.interval(args[i])
      bounds.lo = bounds.lo and f(bounds.lo, lo) or lo
      bounds.hi = bounds.hi and f(bounds.hi, hi) or hi
      bounds.integer = bounds.integer and integer
      parts[i] = spell(args[i])
    end
    if args.n == 1 then return args[1] end
    if bounds.lo == bounds.hi then return bounds.lo end
    args.op = name
    return compute("number", name .. "(" .. table.concat(parts, ", ") .. ")", args, bounds)
  end
end
extreme("min", math.min)
extreme("max", math.max)

--- A call of a library function, for lua/checked.lua. What has one value left is that value.
function by.call(name, f, ...)
  local args, is_symbol = table.pack(...), false
  for i = 1, args.n do
    local data = symbols.of(args[i])
    if data then
      local one = symbols.single(data)
      if one ~= nil then
        fork.look(data.var.id)
        args[i] = one
      else
        is_symbol = true
      end
    end
  end
  if not is_symbol then return f(table.unpack(args, 1, args.n)) end
  local call = calls[name]
  if not call then fork.bound("a call", name .. " of a value that is not known") end
  return call(f, table.unpack(args, 1, args.n))
end

--- How long a text is.
function symbols.length(v)
  return compute("number", "#" .. spell(v), { op = "len", v }, { integer = true, lo = 0 })
end

local plain_concat = table.concat

--- table.concat of a list that may hold symbols.
function symbols.concat(list, between, from, to)
  local texts = {}
  for i = from or 1, to or rawlen(list) do
    local v = list[i]
    if symbols.of(v) then v = symbols.plain(v) end
    texts[#texts + 1] = v
  end
  return plain_concat(texts, symbols.plain(between or ""))
end

return calls
