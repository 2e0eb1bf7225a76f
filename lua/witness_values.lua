-- SPDX-License-Identifier: Apache-2.0
-- Values for the variables of one path: what its conditions leave of each, at a bound or just beyond one, and so that what is
-- computed from several is what the path takes it for. What is found is tried by a run; what is not found is said.

local fork = host.module("fork")
local symbols = host.module("symbols")
local texts = host.module("witness_text")

local values = {}

local ROUNDS_MAX = 60           -- of mending what is computed
local huge = math.huge

local assigned, fixed           -- variable -> value; -> that of what nobody can choose
local infos                     -- variable -> { hint, schema, name, earlier, followers }
local captured                  -- text of a match -> its captures that are wanted
local changes_first             -- of two operands, by how often each was changed: whether the right one is next
local changes                   -- variable -> how often it was given another value to mend something
local equalities                -- { left, right, yes }: what is to equal what, or not to

local function is_number_in(var, x)
  if x ~= x or math.abs(x) == huge or x < var.lo or x > var.hi then return false end
  if (x == var.lo and var.lo_open) or (x == var.hi and var.hi_open) then return false end
  return not (var.integer and x % 1 ~= 0) and not (var.ne and var.ne[x])
end

local function is_one_of(list, v)
  for _, x in ipairs(list) do
    if x == v then return true end
  end
  return false
end

local function fits(var, v)
  if fixed[var] ~= nil and fixed[var] ~= v then return false end
  if var.kind == "number" then return type(v) == "number" and is_number_in(var, v) end
  if var.kind == "string" then
    if type(v) ~= "string" or (var.is ~= nil and var.is ~= v) or (var.ne and var.ne[v]) then return false end
    if var.words and not is_one_of(var.words, v) then return false end
  end
  return texts.agrees(var, v)
end

local function tidy(x)
  local short = tonumber(string.format("%.6g", x))
  return math.tointeger(short) or short
end

-- Numbers for an interval: at its bounds, beyond the open ones, between them, small ones.
local function number_candidates(var, schema)
  local list, lo, hi = {}, var.lo, var.hi
  -- What every answer is at least says nothing of the path.
  local natural = type(schema) == "string" and tonumber(string.match(schema, ">=? *(%-?[%d.]+)"))
  local function add(x)
    if x == x and x > -huge and x < huge then
      list[#list + 1] = tidy(x)
      list[#list + 1] = math.tointeger(x) or x
    end
  end
  if lo > -huge and not (lo == natural and hi < huge) then
    if not var.lo_open then add(lo) end
    add(var.integer and lo + 1 or lo + math.max(math.abs(lo) * 0.1, lo == 0 and 1 or 0))
  end
  if hi < huge then
    if not var.hi_open then add(hi) end
    add(var.integer and hi - 1 or hi - math.max(math.abs(hi) * 0.1, hi == 0 and 1 or 0))
  end
  if lo > -huge and hi < huge then add(var.integer and (lo + hi) // 2 or (lo + hi) / 2) end
  for _, x in ipairs { 1, 0, 2, 3, 10, 100, 1000, -1 } do add(x) end
  local base = lo > -huge and lo or hi < huge and hi or 0
  for step = 1, 20 do
    add(base + step)
    add(base - step)
  end
  return list
end

local function candidates(var)
  local info, list = infos[var] or {}, {}
  local function add(v) if v ~= nil then list[#list + 1] = v end end
  add(fixed[var])
  if info.earlier then add(assigned[info.earlier]) end
  add(info.hint)
  if var.kind == "number" then return table.move(number_candidates(var, info.schema), 1, 200, #list + 1, list) end
  add(var.is)
  for _, word in ipairs(var.words or {}) do add(word) end
  for _, v in ipairs(texts.candidates(var)) do add(v) end
  if var.kind == "any" then
    for word in string.gmatch(type(info.schema) == "string" and info.schema or "", "[%w_-]+") do
      if string.find(info.schema, "|", 1, true) then add(word) end
    end
  end
  add(var.stands_for)
  add(info.name)
  add("another " .. (info.name or "text"))
  add("")
  add(false)
  add(1)
  return list
end

-- A value that fits, also what is asked of the same later, if there is one.
local function pick(var)
  local list, followers = candidates(var), infos[var] and infos[var].followers or {}
  local count = #list
  for i = 1, #followers do table.move(candidates(followers[i]), 1, 80, #list + 1, list) end
  for i = 1, #list do
    local all = fits(var, list[i])
    for k = 1, #followers do all = all and fits(followers[k], list[i]) end
    if all then return list[i] end
  end
  for i = 1, count do
    if fits(var, list[i]) then return list[i] end
  end
end

-- What is computed

local compute = {
  add = function(a, b) return a + b end, sub = function(a, b) return a - b end, mul = function(a, b) return a * b end,
  div = function(a, b) return a / b end, mod = function(a, b) return a % b end, pow = function(a, b) return a ^ b end,
  idiv = function(a, b) return a // b end, number = tonumber, tonumber = tonumber, tostring = tostring, floor = math.floor,
  ceil = math.ceil, tointeger = math.tointeger, abs = math.abs, sqrt = math.sqrt, fmod = math.fmod, min = math.min,
  max = math.max, find = string.find, byte = string.byte, gsub = string.gsub, lower = string.lower, upper = string.upper,
  sub_text = string.sub, rep = string.rep, reverse = string.reverse, format = string.format,
  len = function(v) return #v end, concat = function(a, b) return a .. b end,
  find_end = function(s, pattern) return (select(2, string.find(s, pattern))) end,
  gsub_count = function(s, pattern) return (select(2, string.gsub(s, pattern, ""))) end,
  match = function(s, pattern, i) return (select(i, string.match(s, pattern))) end,
  gmatch = function(s, pattern, i) return (select(i, string.gmatch(s, pattern)())) end,
}

local value_of

--- What a value is, with what was found for its variables; nil if that is not known.
function values.of(v)
  local data = symbols.of(v)
  if not data then return v end
  local x = value_of(data.var)
  if data.kind ~= "number" or (data.a == 1 and data.b == 0) or type(x) ~= "number" then return x end
  return data.a * x + data.b
end

-- The same of a table with symbols in it.
local function all_of(v)
  if symbols.of(v) then return values.of(v) end
  if type(v) ~= "table" then return v end
  local out = {}
  for key, x in pairs(v) do out[key] = all_of(x) end
  return out
end

local stats = host.module("stats").public.stats

function value_of(var)
  if assigned[var] ~= nil or not var.expr then return assigned[var] end
  if var.expr.o then
    local ok, judged = host.pcall(stats.judge, all_of(var.expr.o))
    return ok and judged.verdict or nil
  end
  local args = {}
  for i = 1, #var.expr do
    args[i] = values.of(var.expr[i])
    if args[i] == nil then return nil end
  end
  local op = var.expr.op
  local f = compute[op == "sub" and var.kind == "string" and "sub_text" or op]
  if not f then return nil end
  local ok, x = host.pcall(f, table.unpack(args, 1, #var.expr))
  return ok and x or nil
end

local want

local function set_variable(var, v)
  changes[var] = (changes[var] or 0) + 1
  if var.expr then return want(var.expr, v) end
  if fixed[var] ~= nil or not fits(var, v) then return false end
  assigned[var] = v
  return true
end

-- Has v become the target by changing a variable in it.
local function make(v, target)
  local data = symbols.of(v)
  if not data then return v == target end
  if target == nil or target ~= target then return false end
  if data.kind ~= "number" or type(target) ~= "number" then return set_variable(data.var, target) end
  local x = (target - data.b) / data.a
  if set_variable(data.var, math.tointeger(x) or tidy(x)) then return true end
  return set_variable(data.var, x)
end

-- For each operation, what its operands are to be for a result t: a list of { operand, target }.
local function both(l, r, left, right) return { { l, left }, { r, right } } end
local inverse = {
  add = function(t, l, r, a, b) return both(l, r, t - b, t - a) end,
  sub = function(t, l, r, a, b) return both(l, r, t + b, a - t) end,
  mul = function(t, l, r, a, b) return both(l, r, t / b, t / a) end,
  div = function(t, l, r, a, b) return both(l, r, t * b, a / t) end,
  idiv = function(t, l, _, _, b) return { { l, t * b } } end,
  concat = function(t, l, r, a, b)
    return both(l, r, string.sub(t, -#b) == b and string.sub(t, 1, -#b - 1) or nil,
      string.sub(t, 1, #a) == a and string.sub(t, #a + 1) or nil)
  end,
  sqrt = function(t, v) return { { v, t * t } } end,
  len = function(t, v) return { { v, string.rep("x", math.min(t, 200)) } } end,
  tostring = function(t, v) return { { v, tonumber(t) } } end,
  tonumber = function(t, v) return { { v, tostring(math.tointeger(t) or t) } } end,
}
inverse.number = inverse.tonumber
local function same(t, v) return { { v, t } } end
for _, op in ipairs { "floor", "ceil", "tointeger", "abs", "mod", "lower", "upper" } do inverse[op] = same end
local function each_one(t, l, r) return both(l, r, t, t) end
inverse.min, inverse.max = each_one, each_one

local function want_capture(expr, target)
  local key = symbols.spell(expr[1]) .. "\0" .. tostring(expr[2])
  local wanted = captured[key] or {}
  captured[key] = wanted
  wanted[expr[3]] = tostring(math.tointeger(target) or target)
  return make(expr[1], texts.sample(expr[2], wanted))
end

local function times(way)
  local data = symbols.of(way[1])
  return data and changes[data.var] or 0
end

-- Counts for which two variants are judged so: { requests, bad } of each, beside which all else is small.
local MANY = 100000
local judged_by = {
  worse = { canary = { MANY, MANY }, baseline = { MANY, 0 } }, ["no worse"] = { canary = { MANY, 0 }, baseline = { MANY, MANY } },
  undecided = { canary = { 2, 0 }, baseline = { 2, 0 } },
}

local function want_judged(o, target)
  local changed = false
  for variant, counts in pairs(judged_by[target] or {}) do
    for i, name in ipairs { "requests", "bad" } do
      local v = o[variant] and o[variant][name]
      if symbols.of(v) and values.of(v) ~= counts[i] then changed = make(v, counts[i]) or changed end
    end
  end
  return changed
end

function want(expr, target)
  if expr.o then return want_judged(expr.o, target) end
  if expr.op == "match" or expr.op == "gmatch" then return want_capture(expr, target) end
  local f = inverse[expr.op]
  if not f then return false end
  local ok, ways = host.pcall(f, target, expr[1], expr[2], values.of(expr[1]), values.of(expr[2]))
  if not ok then return false end
  -- Two that share a variable could take turns in spoiling each other.
  local back = #ways == 2 and changes_first(times(ways[1]), times(ways[2]))
  for i = back and #ways or 1, back and 1 or #ways, back and -1 or 1 do
    local way = ways[i]
    if symbols.of(way[1]) and make(way[1], way[2]) then return true end
  end
  return false
end

--- The same for a variable.
function values.of_variable(var) return value_of(var) end

-- What is computed, and is something else than the path takes it for; nil if all is as it should be.
local function contradiction(derived)
  for _, var in ipairs(derived) do
    local v = value_of(var)
    if v ~= nil and not fits(var, v) then return var end
  end
end

local function each_variable(roots, derived, f)
  for _, list in ipairs { roots, derived } do
    for _, var in ipairs(list) do f(var) end
  end
end

-- Of several of one text, that of the same answer.
local function of_one_read(var, list)
  for _, other in ipairs(list or {}) do
    for root in pairs(var.roots or {}) do
      if other.roots and other.roots[root] then return other end
    end
  end
  return list and list[1]
end

-- What the path asked of two texts: lua/symbols.lua remembers it of the left one, under the right one's key.
local function find_equalities(roots, derived)
  local by_key, by_text = {}, {}
  equalities = {}
  each_variable(roots, derived, function(var)
    by_key[var.kind .. fork.who(var.id)] = var
    by_text[var.text] = by_text[var.text] or {}
    table.insert(by_text[var.text], var)
  end)
  each_variable(roots, derived, function(var)
    for key, yes in pairs(var.facts or {}) do
      local among = string.match(key, "^.* in {(.*)}$")
      local all = { by_key[string.match(key, "^==(.*)$") or ""] }
      for text in string.gmatch(among or "", "[^,]+") do
        all[#all + 1] = of_one_read(var, by_text[string.match(text, "^ ?(.*)$")])
      end
      if #all > 0 then equalities[#equalities + 1] = { left = var, among = all, yes = yes } end
    end
  end)
end

local function is_kept(e)
  local l, equal = value_of(e.left), false
  for _, r in ipairs(e.among) do equal = equal or l == value_of(r) end
  return l == nil or equal == e.yes
end

-- Another value for one of the two, that the rest of what is known of it allows.
local function keep(e, round)
  local one, two = e.left, e.among[round % #e.among + 1]
  if round // #e.among % 2 == 1 or fixed[one] ~= nil then one, two = two, one end
  if e.yes then return value_of(two) ~= nil and set_variable(one, value_of(two)) end
  for i, x in ipairs(candidates(one)) do
    if i > round // 4 and x ~= value_of(two) and fits(one, x) and set_variable(one, x) then return true end
  end
  return false
end

local function mend_equalities()
  for round = 1, ROUNDS_MAX do
    local broken = nil
    for _, e in ipairs(equalities) do
      if not is_kept(e) then
        broken = e
        if not keep(e, round) then keep(e, round + #e.among) end
      end
    end
    if not broken then return end
  end
end

-- Which operand of what is computed is changed first: the one that was changed less often, the same each time, in turns.
local manners = {
  function(round, left, right) return right < left or (right == left and round % 2 == 0) end,
  function() return false end, function() return true end, function(round) return round % 2 == 0 end,
}

local function mend(derived, manner)
  for round = 1, ROUNDS_MAX do
    local var = contradiction(derived)
    if not var then return nil end
    local list, done = candidates(var), false
    changes_first = function(left, right) return manner(round, left, right) end
    for i = 1, #list do
      local target = list[(i + round // 2 - 1) % #list + 1]
      if fits(var, target) and want(var.expr, target) then
        done = true
        break
      end
    end
    if not done and round > 4 then break end
  end
  local var = contradiction(derived)
  return var and var.text
end

--- Finds values for variables. roots: in the order in which they came to be; derived: what is computed from them, in the same
-- order; what: variable -> { hint, schema, name, earlier, followers }; given: variable -> value that nobody chooses. Nil, or the
-- text of what has no value.
function values.solve(roots, derived, what, given)
  local first, wrong
  infos, fixed = what, given
  for _, manner in ipairs(manners) do
    assigned, captured, changes = {}, {}, {}
    for _, var in ipairs(roots) do
      assigned[var] = pick(var)
      if assigned[var] == nil then return var.text end
    end
    find_equalities(roots, derived)
    mend_equalities()
    wrong = mend(derived, manner)
    if not wrong then return nil end
    first = first or wrong
  end
  return first
end

return values
