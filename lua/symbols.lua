-- SPDX-License-Identifier: Apache-2.0
-- Values that are not known: what the checked form of a program (lua/checked.lua) computes with when all its paths are
-- followed. A number is an interval, a text what it was compared with, a list none, one or many; a boolean is no symbol, it
-- forks into its two values. What cannot be said by these is a question of its own, remembered by its text, and free.
--
-- A symbol is a proxy in `set`; its data has a variable, shared by all that is computed from one answer by adding and
-- multiplying: a * var + b. Variables live for one path.

local fork = host.module("fork")
local undo = host.module("undo")
local spell_number = host.module("symbols_spell").number
local bounds_from = host.module("symbols_bounds").from
local narrowing = host.module("symbols_narrow")
local change, put, narrow, fix, exclude = narrowing.change, narrowing.put, narrowing.narrow, narrowing.fix, narrowing.exclude

local symbols = {}

local huge, floor, ceil = math.huge, math.floor, math.ceil

local set                       -- proxy -> data
local pools = { number = {}, string = {}, any = {} }
local taken                     -- of each pool, on this path
local derived                   -- key of an expression -> data
local metatable = {}
local note                      -- says what is not explored

local function renew(p, data, is_there)
  if is_there then
    taken[data.kind], set[p] = taken[data.kind] + 1, data
  else
    taken[data.kind] = taken[data.kind] - 1
  end
end

local function proxy(kind, data)
  local n, pool = taken[kind] + 1, pools[kind]
  local p = pool[n]
  if not p then
    p = setmetatable({}, metatable[kind])
    pool[n] = p
  end
  taken[kind] = n
  data.kind, data.proxy = kind, p
  set[p] = data
  undo.note(renew, p, data)
  return p
end

--- The data of a symbol, or nil.
function symbols.of(v) return set[v] end

local nobody = {}

local function new_variable(kind, text, roots)
  return { kind = kind, text = text, lo = -huge, hi = huge, lo_open = false, hi_open = false, roots = roots }
end

-- roots: the reads that it comes from, id -> what it is called on every path.
local function variable(kind, text, roots)
  local var = fork.same(new_variable, kind, text, roots or nobody)
  var.id = fork.new_id(text, var)
  return var
end

-- A fork on a variable; the node remembers which reads it asks about.
local function choose(var, n, about, describe, a, b)
  local choice, node = fork.choose(n, about, describe, a, b)
  if not node.roots then node.roots = var.roots end
  return choice
end

local function affine(var, a, b, text, prec, unit)
  return proxy("number", { var = var, a = a, b = b, text = text, prec = prec, unit = unit })
end

--- A number that is not known. options: integer, lo, hi, lo_open, hi_open, unit, roots.
function symbols.number(text, options)
  local var = variable("number", text, options.roots)
  var.integer, var.lo, var.hi = options.integer, options.lo or -huge, options.hi or huge
  var.lo_open, var.hi_open = options.lo_open or false, options.hi_open or false
  return affine(var, 1, 0, text, 3, options.unit)
end

--- A text that is not known. options: roots, one_of (the texts that it can be), stands_for
-- (which one is written where it is not compared).
function symbols.string(text, options)
  local var = variable("string", text, options.roots)
  var.stands_for, var.words = options.stands_for, options.one_of
  return proxy("string", { var = var, text = text })
end

local function new_any(var, text) return { var = var, text = text, fields = {} } end

--- A value of which not even the type is known.
function symbols.any(text, options)
  return proxy("any", fork.same(new_any, variable("any", text, options.roots), text))
end

-- Spelling

local function spell(v, unit)
  local data = v ~= nil and set[v]
  if data then return data.text end
  if type(v) == "number" then return spell_number(v, unit) end
  if type(v) == "string" then return string.format("%q", #v > 60 and string.sub(v, 1, 57) .. "..." or v) end
  return tostring(v)
end
symbols.spell, symbols.spell_number = spell, spell_number

-- The one value that a symbol can have still, or nil.
local function single(data)
  local var = data.var
  if data.kind == "string" then return var.is end
  if data.kind == "number" and var.lo == var.hi then return data.a == 1 and data.b == 0 and var.lo or data.a * var.lo + data.b end
end
symbols.single = single

-- Intervals

local opposite = { ["<"] = ">=", ["<="] = ">", [">"] = "<=", [">="] = "<", ["=="] = "~=", ["~="] = "==" }
local mirrored = { ["<"] = ">", ["<="] = ">=", [">"] = "<", [">="] = "<=" }

local function describer(op)
  return function(choice, data, c)
    return data.text .. " " .. (choice == 1 and op or opposite[op]) .. " " .. (data.against or spell(c, data.unit))
  end
end
local describe = { ["<"] = describer "<", ["<="] = describer "<=", [">"] = describer ">", [">="] = describer ">=",
  ["=="] = describer "==" }

-- Whether var < k (or var <= k): true, false, or nil if it can be either.
local function is_below(var, k, inclusive)
  local hi, lo = var.hi, var.lo
  if hi < k or (hi == k and (inclusive or var.hi_open or hi == huge)) then return true end
  if lo > k or (lo == k and (var.lo_open or not inclusive)) then return false end
end

-- data op c, for a plain c.
local function decide(data, c, op)
  local var, a = data.var, data.a
  if c ~= c then return false end
  fork.look(var.id)
  local k, straight = c, op
  if a ~= 1 or data.b ~= 0 then
    k = (c - data.b) / a
    if a < 0 then straight = mirrored[op] end
  end
  local negated = straight == ">" or straight == ">="
  local inclusive = straight == "<=" or straight == ">"
  if var.integer and k ~= huge and k ~= -huge then
    k = inclusive and floor(k) or ceil(k) - 1
    inclusive = true
  end
  local below = is_below(var, k, inclusive)
  if below == nil then
    local holds = choose(var, 2, data.text, describe[op], data, c) == 1
    below = holds ~= negated
    narrow(var, k, inclusive, below)
  end
  return below ~= negated
end

local function decide_equal(data, c)
  local var = data.var
  if c ~= c then return false end
  fork.look(var.id)
  local k = (c - data.b) / data.a
  if var.integer and k % 1 ~= 0 then return false end
  if var.lo == k and var.hi == k then return true end
  if k < var.lo or k > var.hi or (k == var.lo and var.lo_open) or (k == var.hi and var.hi_open) then return false end
  if var.ne and var.ne[k] then return false end
  if choose(var, 2, data.text, describe["=="], data, c) == 1 then
    fix(var, k)
    return true
  end
  exclude(var, k)
  return false
end

-- A question that nothing else answers: free, and the same at every time it is asked.
local function free(var, key, yes, no)
  fork.look(var.id)
  local known = var.facts and var.facts[key]
  if known == nil then
    known = choose(var, 2, yes, function(choice) return choice == 1 and yes or no end) == 1
    put(var, "facts", key, known)
  end
  return known
end
symbols.free = free

-- Arithmetic

local function key_of(v)
  local data = set[v]
  if not data then return type(v) == "string" and string.format("%q", v) or tostring(v) end
  if data.kind ~= "number" then return data.kind .. fork.who(data.var.id) end
  return fork.who(data.var.id) .. "*" .. data.a .. "+" .. data.b
end

-- The reads behind operands.
local function roots_of(operands)
  local all, n = nil, 0
  for i = 1, #operands do
    local data = set[operands[i]]
    if data and data.var.roots ~= all then
      n = n + 1
      if n == 1 then
        all = data.var.roots
      else
        local both = {}
        for root, who in host.rawpairs(all) do both[root] = who end
        for root, who in host.rawpairs(data.var.roots) do both[root] = who end
        all = both
      end
    end
  end
  return all
end

--- What is computed from symbols and is none of their own: the same each time. expr: { op, operands } for a witness.
local function compute(kind, text, expr, bounds)
  local key = expr.op
  for i = 1, #expr do key = key .. "," .. key_of(expr[i]) end
  local old = derived[key]
  if old then
    fork.look(old.var.id)
    return old.proxy
  end
  local var = variable(kind, text, roots_of(expr))
  var.expr = expr
  local p
  if kind == "number" then
    bounds = bounds or {}
    var.integer, var.lo, var.hi = bounds.integer, bounds.lo or -huge, bounds.hi or huge
    p = affine(var, 1, 0, text, bounds.prec or 3, bounds.unit)
  else
    p = proxy(kind, { var = var, text = text })
  end
  for i = 1, #expr do
    local data = set[expr[i]]
    if data then
      fork.look(data.var.id)
      put(data.var, "derived", key, true)
    end
  end
  undo.set(derived, key, set[p])
  return p
end
-- derived(): what was computed on this path, by the keys of the expressions.
symbols.compute, symbols.derived = compute, function() return derived end

local names = { ["+"] = "add", ["-"] = "sub", ["*"] = "mul", ["/"] = "div", ["%"] = "mod", ["^"] = "pow", ["//"] = "idiv" }
local precedence = { ["+"] = 1, ["-"] = 1, ["*"] = 2, ["/"] = 2, ["%"] = 2, ["//"] = 2, ["^"] = 3 }

-- A text as number: what Lua would make of it.
local function number_from(v, data)
  if not data then
    local n = type(v) == "string" and tonumber(v) or v
    if type(n) ~= "number" then host.fail("attempt to perform arithmetic on a " .. type(v) .. " value") end
    return n
  end
  if data.kind == "number" then return v end
  return compute("number", data.text, { op = "number", v })
end

local function wrapped(v, prec, right)
  local data = set[v]
  local text = spell(v)
  if data and data.prec and (data.prec < prec or (right and data.prec == prec)) then return "(" .. text .. ")" end
  return text
end

-- sign * l + r etc. where it stays a * var + b. Returns nil if it does not.
local function linear(op, l, r, left, right, text)
  local prec = precedence[op]
  if left and right then
    if left.var ~= right.var or (op ~= "+" and op ~= "-") then return nil end
    local sign = op == "+" and 1 or -1
    local a, b = left.a + sign * right.a, left.b + sign * right.b
    return a == 0 and b or affine(left.var, a, b, text, prec)
  end
  local data, c = left or right, left and r or l
  if op == "+" then return affine(data.var, data.a, data.b + c, text, prec, data.unit) end
  if op == "-" and left then return affine(data.var, data.a, data.b - c, text, prec, data.unit) end
  if op == "-" then return affine(data.var, -data.a, c - data.b, text, prec, data.unit) end
  if op == "*" and c ~= 0 then return affine(data.var, data.a * c, data.b * c, text, prec) end
  if op == "/" and left and c ~= 0 then return affine(data.var, data.a / c, data.b / c, text, prec) end
end

local function interval_of(v)
  local data = set[v]
  if not data then return v, v, math.type(v) == "integer" end
  local lo, hi = data.a * data.var.lo + data.b, data.a * data.var.hi + data.b
  if lo > hi then lo, hi = hi, lo end
  return lo, hi, data.var.integer and math.type(data.a) == "integer" and math.type(data.b) == "integer"
end

function symbols.interval(v)
  if set[v] then fork.look(set[v].var.id) end
  return interval_of(v)
end

local function bounds_of(op, l, r)
  local later, sooner = set[l], set[r]
  local passed = later and sooner and later.var.waited and sooner.var.waited and later.a == 1 and sooner.a == 1 and
    later.b == 0 and sooner.b == 0 and later.var.waited - sooner.var.waited
  local bounds = bounds_from(op, passed or nil, table.pack(interval_of(l)), table.pack(interval_of(r)))
  bounds.prec = precedence[op]
  return bounds
end

local plain = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end, ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return a / b end, ["%"] = function(a, b) return a % b end, ["^"] = function(a, b) return a ^ b end,
  ["//"] = function(a, b) return a // b end,
}

local function arithmetic(op)
  return function(l, r)
    l, r = number_from(l, set[l]), number_from(r, set[r])
    local left, right = set[l], set[r]
    local lone, rone = left and single(left), right and single(right)
    if (lone or not left) and (rone or not right) then
      if left then fork.look(left.var.id) end
      if right then fork.look(right.var.id) end
      return plain[op](lone or l, rone or r)
    end
    local text = wrapped(l, precedence[op]) .. " " .. op .. " " .. wrapped(r, precedence[op], true)
    return linear(op, l, r, left, right, text) or compute("number", text, { op = names[op], l, r }, bounds_of(op, l, r))
  end
end

local function negative(v)
  local data = set[v]
  if data.kind ~= "number" then v = number_from(v, data) end
  data = set[v]
  return affine(data.var, -data.a, -data.b, "-" .. wrapped(v, 3), 2, data.unit)
end

-- Comparing

--- op of two plain values.
local holds = {
  ["<"] = function(a, b) return a < b end, ["<="] = function(a, b) return a <= b end, [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end, ["=="] = function(a, b) return a == b end,
}

-- left op right for two symbols: their difference is compared with 0.
local function compare_two(op, l, r)
  local left, right = set[l], set[r]
  local lone, rone = single(left), single(right)
  local one = op == "==" and decide_equal or decide
  if rone then return one(left, rone, op) end
  if lone then return one(right, lone, mirrored[op] or op) end
  if left.var == right.var and left.a == right.a then return holds[op](left.b, right.b) end
  local text = wrapped(l, 1) .. " - " .. wrapped(r, 1, true)
  local difference = compute("number", text, { op = "sub", l, r }, bounds_of("-", l, r))
  local data = set[difference]
  if not data then return holds[op](difference, 0) end
  return one({ text = left.text, against = right.text, var = data.var, a = data.a, b = data.b }, 0, op)
end

local function kind_of(v)
  local data = set[v]
  return data and data.kind or type(v)
end
symbols.kind = kind_of

local function compare_texts(op, l, r)
  local data = set[l] or set[r]
  local yes = spell(l) .. " " .. op .. " " .. spell(r)
  return free(data.var, op .. key_of(l) .. "," .. key_of(r), yes, spell(l) .. " " .. opposite[op] .. " " .. spell(r))
end

local by = {}                   -- for lua/checked.lua

function by.compare(op, l, r)
  local left, right = set[l], set[r]
  local lkind, rkind = kind_of(l), kind_of(r)
  if lkind == "number" and rkind == "number" then
    if not right then return decide(left, r, op) end
    if not left then return decide(right, l, mirrored[op]) end
    return compare_two(op, l, r)
  end
  if lkind == "any" or rkind == "any" or (lkind == "string" and rkind == "string") then
    local lone, rone = left and single(left) or l, right and single(right) or r
    if not set[lone] and not set[rone] and type(lone) == type(rone) then return holds[op](lone, rone) end
    return compare_texts(op, l, r)
  end
  host.fail(string.format("attempt to compare %s with %s", lkind, rkind))
end

-- The texts that it can be still.
local function left_of(var)
  local left = {}
  for _, word in ipairs(var.words) do
    if not (var.ne and var.ne[word]) then left[#left + 1] = word end
  end
  return left
end

local function contains(words, v)
  for _, word in ipairs(words) do
    if word == v then return true end
  end
  return false
end

local function equal_text(data, v)
  local var = data.var
  fork.look(var.id)
  if var.is ~= nil then return var.is == v end
  if var.ne and var.ne[v] then return false end
  if var.words then
    local left = left_of(var)
    if #left == 1 then change(var, "is", left[1]) end
    if #left == 1 or not contains(left, v) then return left[1] == v and #left == 1 end
  end
  if not symbols.text_may_be(var, v) then return false end
  if choose(var, 2, data.text, describe["=="], data, v) == 1 then
    change(var, "is", v)
    return true
  end
  put(var, "ne", v, true)
  return false
end

function by.equal(l, r)
  if rawequal(l, r) then return true end
  local left, right = set[l], set[r]
  local lkind, rkind = kind_of(l), kind_of(r)
  if lkind == "any" or rkind == "any" then
    local data = left and left.kind == "any" and left or right
    local other = data == left and r or l
    return free(data.var, "==" .. key_of(other), data.text .. " == " .. spell(other), data.text .. " ~= " .. spell(other))
  end
  if lkind ~= rkind then return false end
  if lkind == "number" then
    if not right then return decide_equal(left, r) end
    if not left then return decide_equal(right, l) end
    return compare_two("==", l, r)
  end
  if not right then return equal_text(left, r) end
  if not left then return equal_text(right, l) end
  if left.var.is ~= nil then return equal_text(right, left.var.is) end
  if right.var.is ~= nil then return equal_text(left, right.var.is) end
  return free(left.var, "==" .. key_of(r), left.text .. " == " .. right.text, left.text .. " ~= " .. right.text)
end

--- A symbol that is asked whether it is true: only one of unknown type forks.
function by.truth(v)
  local data = set[v]
  if data.kind ~= "any" then return v end
  return free(data.var, "truth", data.text .. " is there", data.text .. " is false or not there") and v
end

--- A computed key: a text stands for itself, as a key that no other is equal to.
function by.key(v)
  local data = set[v]
  local one = single(data)
  if one ~= nil then
    fork.look(data.var.id)
    return one
  end
  if data.kind ~= "number" then
    note("key", string.format("%s is a key here and is taken for one that is nowhere else", data.text))
    return symbols.plain(v)
  end
  fork.bound("a key", data.text .. " is a key here, and not known")
end

local function describe_bound(choice, data, values) return string.format("%s is %d", data.text, values[choice]) end

--- A bound of a numeric for: the smallest numbers that it can be.
function by.bound(v)
  local data = set[v]
  if data.kind ~= "number" then host.fail("'for' value must be a number") end
  local one = single(data)
  if one then return one end
  local lo, hi = interval_of(v)
  local first, values = math.max(ceil(lo), 0), {}
  for n = first, math.min(first + 2, hi) do values[#values + 1] = n end
  if #values == 0 then fork.bound("a loop", data.text .. " is how far it goes, and is not known") end
  if hi > values[#values] then
    note("loop", string.format("%s is how far it goes; only %d to %d were followed", data.text, values[1], values[#values]))
  end
  fork.look(data.var.id)
  local n = values[choose(data.var, #values, data.text, describe_bound, data, values)]
  local k = (n - data.b) / data.a
  fix(data.var, k)
  return n
end

--- The text of a symbol where a text is wanted, and everything else as it is.
function symbols.plain(v)
  local data = set[v]
  if not data then return v end
  local var, one = data.var, single(data)
  fork.look(var.id)
  if one ~= nil then return one end
  if var.words then
    local left = left_of(var)
    return contains(left, var.stands_for) and var.stands_for or left[1]
  end
  return var.stands_for or "<" .. data.text .. ">"
end

function by.join(l, r)
  for _, v in ipairs { l, r } do
    local kind = kind_of(v)
    if kind ~= "string" and kind ~= "number" and kind ~= "any" then
      host.fail("attempt to concatenate a " .. kind .. " value")
    end
  end
  local text = spell(l) .. " .. " .. spell(r)
  return compute("string", text, { op = "concat", l, r })
end

local function read_only() host.fail("what was observed is read-only") end

local function fill(mt)
  mt.__add, mt.__sub, mt.__mul, mt.__div = arithmetic "+", arithmetic "-", arithmetic "*", arithmetic "/"
  mt.__mod, mt.__pow, mt.__idiv, mt.__unm = arithmetic "%", arithmetic "^", arithmetic "//", negative
  mt.__lt = function(a, b) return by.compare("<", a, b) end
  mt.__le = function(a, b) return by.compare("<=", a, b) end
  mt.__newindex = read_only
  mt.__len = function(v)
    local data = set[v]
    if data.kind == "number" then host.fail("attempt to get length of a number value") end
    return symbols.length(v)
  end
  for _, name in ipairs { "__band", "__bor", "__bxor", "__shl", "__shr", "__bnot" } do
    mt[name] = function() fork.bound("bits", "the bits of a value that is not known") end
  end
  return mt
end

metatable.number = fill {
  __index = function() host.fail("attempt to index a number value") end,
  __call = function() host.fail("attempt to call a number value") end,
}
metatable.string = fill {
  __index = function(_, key)
    local f = string[key]
    return f and function(...) return by.call(key, f, ...) end
  end,
  __call = function() host.fail("attempt to call a string value") end,
}
metatable.any = fill {
  __index = function(v, key)
    local data = set[v]
    fork.look(data.var.id)
    if math.type(key) == "integer" and not symbols.has_element(data, key) then return nil end
    local field = data.fields[key]
    if not field then
      field = symbols.any(data.text .. (type(key) == "number" and "[" .. key .. "]" or "." .. tostring(key)),
        { roots = data.var.roots })
      put(data, "fields", key, field)
      put(data.var, "derived", "." .. tostring(key), true)
    end
    return field
  end,
  __call = function() host.fail("attempt to call a value that was observed") end,
}

symbols.by, symbols.put = by, put

--- Begins a path. `say(what, why)` notes what is not explored.
function symbols.begin(checked, say)
  set, derived, note = {}, {}, say
  taken = { number = 0, string = 0, any = 0 }
  checked.explore(set, by)
end

return symbols
