-- SPDX-License-Identifier: Apache-2.0
-- The search over all paths: a path is run again from its beginning, with the choices of the path before but for the
-- last one, which is the next of its fork. What was chosen is a tree, whose nodes are the forks and the marks in between.
--
-- A scope is a part of the program that comes to one of few results, such as the test of a hypothesis. A path that leaves
-- a scope with the result of an earlier one, and differs from it only in what is not looked at behind the scope, would go
-- on like that one: it ends there, as another way to the same.
--
-- At a place (fork.at) a path ends as well if another has been there with the same locals, and knew the same of all that was
-- looked at behind the place. Which symbols those are is told when everything behind it has been explored.

local pcall, raise = host.pcall, host.error

local fork = {}

local DEPTH_MAX = 2000          -- forks and marks of one path
local ROUNDS_MAX = 24           -- forks of one path on the same question at the same line: a loop, or recursion
local LOOKS_MAX = 200000        -- looks at symbols that one path may take without a new fork
local WAYS_MAX = 20             -- ways to the same result that are remembered with their conditions

local STOP = {}                 -- raised to leave a path
local trail, length, depth      -- the nodes of this path so far; those of the path before; how many it has passed
local looks
local leaf                      -- what the path came to
local scopes, exits             -- scopes that are open; those that this path has left
local ids                       -- of the latest symbol
local looked, boundary          -- symbol -> the boundary behind which it was looked at last; how many there were
local merges                    -- gives a text for what functions change; false: they change more than that
local number                    -- of this path
local places                    -- key of a place -> the nodes there, all behind them explored
local latest                    -- the node of the latest place of this path
local segment                   -- symbols that were made or looked at since
local texts, orders, objects, counts, named   -- of symbols: id -> text, id -> its order among those; text -> how many, -> ids
local state                     -- { key, of }: lua/explore_state.lua
local watch                     -- { from, passed, stops }: a path that does not end is found by what it passed last
local forced, forks             -- choices of the first forks of every path, or nil; how many forks this one has passed

--- Leaves the path: `what` is its leaf.
function fork.leave(what)
  leaf = what
  raise(STOP, 0)
end

--- The path cannot be followed any further: a leaf of kind "bound".
function fork.bound(what, why)
  local file, line = host.where()
  fork.leave { bound = what, why = why, file = file, line = line }
end

--- The path contradicts itself; nobody counts it.
function fork.impossible() fork.leave { impossible = true } end

-- host.pcall for everybody else: what leaves the path goes through.
local function passing(ok, e, ...)
  if not ok and e == STOP then raise(STOP, 0) end
  return ok, e, ...
end
function fork.pcall(...) return passing(pcall(...)) end

--- The number of a new symbol. `object`: what is known of it.
function fork.new_id(text, object)
  ids = ids + 1
  if state then
    local order = (counts[text] or 0) + 1
    counts[text], texts[ids], orders[ids], objects[ids], segment[ids] = order, text, order, object, true
    if order == 1 then named[text] = { ids } else named[text][order] = ids end
  end
  return ids
end

--- What a symbol is called on every path.
function fork.who(id) return state and texts[id] .. "\2" .. orders[id] or id end

-- Behind its last node, a path of watch.stops would not end.
local function passed()
  if number >= watch.from then watch.passed(depth) end
  local stop = watch.stops[number]
  if stop and depth == stop.depth then
    fork.leave { bound = "a part that does not end", why = stop.why, file = stop.file, line = stop.line }
  end
end

local function add(node)
  if depth > DEPTH_MAX then
    depth = depth - 1
    fork.bound("a long path", "it has more than " .. DEPTH_MAX .. " forks and steps")
  end
  local above = trail[depth - 1]
  above.kids[above.choice] = node
  trail[depth], length = node, depth
end

-- Forks behind one another on one question at one line.
local function rounds(node)
  local key, n = node.line .. ":" .. node.about, 0
  for i = depth - 1, 1, -1 do
    local earlier = trail[i]
    if earlier.key == key then
      n = earlier.round
      break
    end
  end
  node.key, node.round = key, n + 1
  return n + 1
end

--- Takes one of n ways. `describe(choice, a, b)` says it in words, nil if it needs none; `about` is what is asked.
function fork.choose(n, about, describe, a, b)
  depth, forks = depth + 1, forks + 1
  local node = trail[depth]
  if not node then
    local file, line = host.where()
    local only = forced and forced[forks]
    node = { n = n, choice = only or 1, last = only or n, kids = {}, texts = {}, file = file, line = line, about = about }
    if rounds(node) > ROUNDS_MAX then
      depth = depth - 1
      fork.bound("a loop", string.format("it asks about %s again and again; %d rounds were followed", about, ROUNDS_MAX))
    end
    looks = 0
    add(node)
  elseif node.n ~= n then
    fork.bound("a path", "the code does not do the same twice")
  end
  local choice = node.choice
  if node.texts[choice] == nil then node.texts[choice] = describe and describe(choice, a, b) or false end
  if watch then passed() end
  return choice, node
end

--- Something that happens on the path without a choice: make(a, b, c) gives its node, once.
function fork.mark(make, a, b, c)
  depth = depth + 1
  local node = trail[depth]
  if not node then
    node = make(a, b, c)
    node.n, node.choice, node.kids = 1, 1, {}
    if not node.line then node.file, node.line = host.where() end
    add(node)
  end
  if watch then passed() end
  return node
end

-- What has been used behind an exit or a place that the path goes on like.
local function use(id)
  if latest and id <= latest.last_id then latest.used[id] = true end
  for i = 1, #exits do
    local exit = exits[i]
    if id <= exit.last_id then
      exit.used[id] = true
      if id > exit.first_id then exit.leaked = true end
    end
  end
end

-- Looks of a symbol that count: once between two boundaries of scopes.
local function remember(id)
  looked[id] = boundary
  if state then segment[id] = true end
  for i = 1, #scopes do scopes[i].seen[id] = true end
  use(id)
end

--- A symbol is looked at: what is found depends on it.
function fork.look(id)
  looks = looks + 1
  if looks > LOOKS_MAX then fork.bound("a loop", "it goes on and on without a new question") end
  if looked[id] ~= boundary then remember(id) end
end

local function conditions(from, to)
  local list = {}
  for i = from, to do
    local node = trail[i]
    local text = node.texts and node.texts[node.choice]
    if text then list[#list + 1] = { text = text, file = node.file, line = node.line } end
  end
  return list
end

local function is_same(exit, scope)
  if exit.leaked then return false end
  for id in host.rawpairs(exit.used) do
    if scope.seen[id] or exit.seen[id] then return false end
  end
  return true
end

-- Ends the path if an earlier one came out of the scope like this.
local function merge(scope, result, kept)
  for _, exit in ipairs(scope.node.exits) do
    if exit.result == result and exit.kept == kept and is_same(exit, scope) then
      exit.ways = exit.ways + 1
      if exit.ways <= WAYS_MAX then exit.because[exit.ways] = conditions(scope.depth + 1, depth) end
      for id in host.rawpairs(exit.used) do use(id) end
      fork.leave { merged = exit.node }
    end
  end
end

local function make_exit(scope, result, kept)
  local node = { kind = "exit", of = scope.node, result = result }
  node.exit = { node = node, result = result, kept = kept, ways = 1, used = {},
    because = { conditions(scope.depth + 1, depth - 1) } }
  scope.node.exits[#scope.node.exits + 1] = node.exit
  return node
end

local function enter_node(kind, title) return { kind = "scope", scope = kind, title = title, exits = {} } end

--- Runs fn in a scope. `result_of(ok, value, ...)` names what it came to. Returns what pcall(fn) does.
-- `accepts`: what is not known inside is accepted.
function fork.scope(kind, title, fn, result_of, accepts)
  local scope = { node = fork.mark(enter_node, kind, title), depth = depth, first_id = ids, seen = {} }
  scopes[#scopes + 1], scope.node.accepts = scope, accepts
  boundary = boundary + 1
  local back = table.pack(fork.pcall(fn))
  scopes[#scopes] = nil
  local result = result_of(table.unpack(back, 1, back.n))
  local kept = merges and not trail[depth + 1] and merges()
  if kept then merge(scope, result, kept) end
  local exit = fork.mark(make_exit, scope, result, kept).exit
  exit.first_id, exit.last_id, exit.seen = scope.first_id, ids, scope.seen
  exits[#exits + 1] = exit
  boundary = boundary + 1
  return table.unpack(back, 1, back.n)
end

-- True if this path knows what was known at a place of all that was used behind it.
local function knows(place)
  for i = 1, #place.needs do
    local need = place.needs[i]
    local list = named[need.text]
    local id = list and list[need.order]
    if not id or state.of(objects[id]) ~= need.known then return false end
  end
  return true
end

local function join(place)
  for i = 1, #place.needs do
    local need = place.needs[i]
    use(named[need.text][need.order])
  end
  fork.leave { joined = place }
end

local function make_place(at, key) return { kind = "place", at = at, line = 0, key = key, used = {}, known = {} } end

-- At a place where no path has been: one that has been at the same.
local function arrive(at, key)
  for _, place in ipairs(places[key] or {}) do
    if knows(place) then join(place) end
  end
  latest = fork.mark(make_place, at, key)
  latest.last_id = ids
  for id in host.rawpairs(segment) do latest.known[id] = state.of(objects[id]) or false end
end

--- A place of the program, with the values that count from there on.
function fork.at(place, ...)
  if not state or #scopes > 0 or trail[depth] == latest then return end
  local node = trail[depth + 1]
  if node then
    if node.at ~= place then return end
    latest = fork.mark(make_place)
  else
    local key = state.key(place, ...)
    if not key then return end
    arrive(place, key)
  end
  segment, boundary = {}, boundary + 1
end

local PLACES_MAX = 32           -- of one key

-- Everything behind a place is explored; above it in the trail is all that the path has done before.
local function leave_place(node)
  local at, outer = length - 1, nil
  local needs, complete = {}, true
  for i = at, 2, -1 do
    if trail[i].kind == "place" then
      outer = trail[i]
      break
    end
  end
  for id in host.rawpairs(node.used) do
    if outer and id <= outer.last_id then outer.used[id] = true end
    local known, i = node.known[id], at
    while known == nil and i > 1 do
      known, i = trail[i].kind == "place" and trail[i].known[id] or nil, i - 1
    end
    complete = complete and known
    needs[#needs + 1] = { text = texts[id], order = orders[id], known = known }
  end
  local list = places[node.key] or {}
  places[node.key] = list
  if complete and #list < PLACES_MAX then
    node.needs = needs
    list[#list + 1] = node
  end
  node.known, node.used = nil, nil
end

local function begin()
  number = number + 1
  latest, segment, texts, orders, objects, counts, named = nil, {}, {}, {}, {}, {}, {}
  depth, forks, looks, leaf, scopes, exits, ids, looked, boundary = 1, 0, 0, nil, {}, {}, 0, {}, 0
end

-- The next choice of the last fork that has one.
local function advance()
  while length > 1 do
    local node = trail[length]
    if node.choice < (node.last or node.n) then
      node.choice = node.choice + 1
      return true
    end
    if node.kind == "place" then leave_place(node) end
    trail[length], length = nil, length - 1
  end
  return false
end

--- The choices of this path at its forks, for paths that begin like it.
function fork.choices()
  local list = {}
  for i = 2, depth do
    if trail[i].texts then list[#list + 1] = trail[i].choice end
  end
  return list
end

--- What this path was decided by: { text, file, line } of each fork that has words.
function fork.conditions() return conditions(2, depth) end

--- The place of the last node that the path has passed.
function fork.last_place()
  for i = depth, 1, -1 do
    local node = trail[i]
    if node and node.line and node.line > 0 then return node.file, node.line end
  end
end

--- True if the path has taken one of several ways.
function fork.has_chosen()
  for i = depth, 2, -1 do
    if trail[i].n > 1 then return true end
  end
  return false
end

--- How many nodes the path has passed.
function fork.depth() return depth end

-- Stops have texts for keys where they come from the host.
local function watching(given)
  if not given then return nil end
  local stops = {}
  for _, stop in ipairs(given.stops) do stops[stop.path] = stop end
  return { from = given.from, passed = given.passed, stops = stops }
end

--- Runs `path` once for every path. `each(leaf)` is called behind each and says whether to go on. `can_merge`: gives a text for
-- what functions that are looked with change, false if it cannot. `watched` { from, passed, stops = { { path, depth, why, file,
-- line } } }: passed(depth) is called at every node from path number `from` on, and stops are where paths do not end.
-- `with_state`: lua/explore_state.lua, or nil: paths do not join at places. `begins`: only the paths that begin with these
-- choices. Returns the root and whether all was explored.
function fork.explore(path, each, can_merge, watched, with_state, begins)
  local root = { kind = "root", n = 1, choice = 1, kids = {} }
  trail, length, merges, number, watch = { root }, 1, can_merge, 0, watching(watched)
  state, places, forced = with_state, {}, begins
  repeat
    begin()
    local ok, e = pcall(function()
      if watch then passed() end
      path()
    end)
    if not ok and e ~= STOP then raise(e, 0) end
    local last = trail[length]
    last.kids[last.choice] = leaf
    local go_on = each(leaf)
    if not advance() then return root, true end
  until not go_on
  return root, false
end

return fork
