-- SPDX-License-Identifier: Apache-2.0
-- The search over all paths: a path has the choices of the path before but for the last one, which is the next of its fork. It is
-- run from the deepest place before that one where a path can go on (fork.here), or from the beginning of the program. What was
-- chosen is a tree, whose nodes are the forks and the marks in between.
--
-- A scope is a part of the program that comes to one of few results, such as the test of a hypothesis. A path that leaves
-- a scope with the result of an earlier one, and differs from it only in what is not looked at behind the scope, would go
-- on like that one: it ends there, as another way to the same.
--
-- All ways through a scope are found first, by following it again and again from where it begins (lua/undo.lua takes back
-- what a way did). Behind it goes on only what cannot be merged. A scope that does more than look is not followed like this.
--
-- At a place (fork.at) a path ends as well if another has been there with the same locals, and knew the same of all that was
-- looked at behind the place. Which symbols those are is told when everything behind it has been explored.

local undo = host.module("undo")
local names = host.module("fork_names")
local exits = host.module("fork_exits")
local places = host.module("fork_places")
local same = host.module("fork_same")

local pcall, raise = host.pcall, host.error

local fork = {}

local DEPTH_MAX = 2000          -- forks and marks of one path
local ROUNDS_MAX = 24           -- forks of one path on the same question at the same line: a loop, or recursion
local LOOKS_MAX = 200000        -- looks at symbols that one path may take without a new fork

local STOP = {}                 -- raised to leave a path
local NOTHING = {}
local trail, length, depth      -- the nodes of this path so far; those of the path before; how many it has passed
local looks
local leaf                      -- what the path came to
local scopes, behind            -- scopes that are open; exits of those that this path has left
local looked, boundary          -- symbol -> the boundary behind which it was looked at last; how many there were
local merges                    -- gives a text for what functions change, and the symbols in it; false: they change more
local number                    -- of this run: of a path, or of a way through a scope
local each, report              -- of fork.explore
local trying, tried             -- how many scopes there are, one inside of the other, whose ways are being found; the outermost
local given_up                  -- what is done inside cannot be taken back
local enough                    -- no further path is taken
local latest                    -- the node of the latest place of this path
local segment                   -- symbols that were made or looked at since
local state                     -- { key, of }: lua/explore_state.lua
local can_take_back             -- whether what a scope of some kind does can be taken back here
local watch                     -- { from, passed, stops }: a path that does not end is found by what it passed last
local points                    -- where this path can go on from: { depth, mark, go_on, a, b }, the deepest last
local unchanged                 -- nodes of the trail that the next path begins with as this one did
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
  local id = names.new(text, object)
  if state then segment[id] = true end
  return id
end

fork.part, fork.who = names.part, names.who

--- What make(...) gives; the same where a path is run again up to here.
function fork.same(make, ...) return same.of(depth, make, ...) end

undo.keep(function()
  local last, open, left = names.last(), #scopes, #behind
  local place, since, passed_forks, looks_before, made = latest, segment, forks, looks, same.count()
  return function()
    latest, segment, forks, looks = place, since, passed_forks, looks_before
    same.back(made)
    for id in host.rawpairs(segment) do
      if id > last then segment[id] = nil end
    end
    for i = #scopes, open + 1, -1 do scopes[i] = nil end
    for i = #behind, left + 1, -1 do behind[i] = nil end
    boundary = boundary + 1
  end
end)

-- Behind its last node, a path of watch.stops would not end.
local function passed()
  local stop = watch.stops[number]
  if number >= watch.from then watch.passed(depth) end
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

--- Something that happens on the path without a choice: make(...) gives its node, once.
function fork.mark(make, ...)
  depth = depth + 1
  local node = trail[depth]
  if not node then
    node = make(...)
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
  for i = 1, #behind do exits.use(behind[i], id) end
end

-- Looks of a symbol that count: once between two boundaries of scopes.
local function remember(id)
  looked[id] = boundary
  if state then segment[id] = true end
  local scope = scopes[#scopes]
  if scope then scope.seen[id] = true end
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

-- What is known of symbols that were made before the scope and looked at inside.
local function known_of(scope)
  if not state then return nil end
  local known = {}
  for id in host.rawpairs(scope.seen) do
    if id <= scope.first_id then known[id] = names.known(id) end
  end
  return known
end

local function leave(left, id)
  local who, known = names.who(id), names.known(id)
  if known then left[id], left[who] = { who = who, known = known, symbol = names.describe(id) }, known end
end

-- What is known of symbols that were made in a scope and that come again behind it: functions keep them, or they are computed.
local function left_of(scope, ids)
  local left = {}
  for _, id in ipairs(ids or {}) do
    if id > scope.first_id then leave(left, id) end
  end
  for id = scope.first_id + 1, ids and names.last() or 0 do
    if names.is_computed(id) and not left[id] then leave(left, id) end
  end
  return left
end

-- How the path comes out of a scope: its last node inside is the one at `to`. `back`: what pcall gave; `kept`, `ids`: what merges
-- gives.
local function make_way(scope, to, result_of, back, kept, ids)
  local result, detail = result_of(table.unpack(back, 1, back.n))
  return { result = result, detail = detail, kept = kept, seen = scope.seen, known = kept and known_of(scope),
    left = left_of(scope, ids), because = conditions(scope.depth + 1, to) }
end

local function enter_node(kind, title) return { kind = "scope", scope = kind, title = title, exits = {} } end

-- What has been used behind an exit is used behind those, and the place, that stand above it in the trail.
local function use_above(top, id)
  local place
  for i = top - 1, 2, -1 do
    local node = trail[i]
    if node.exit then exits.use(node.exit, id) end
    if node.kind == "place" and not place then
      place = node
      if id <= place.last_id then place.used[id] = true end
    end
  end
end

-- The next way of the scope at the end of the trail that goes on, laid out in the trail. False if there is none.
local function next_way(node)
  local top = length
  while not enough and node.turn < #node.through do
    node.turn = node.turn + 1
    local way = node.through[node.turn]
    local found, exit = exits.merged(node, way, trying > 0 and tried or nil)
    if not found then
      for i, inner in ipairs(way.nodes) do
        trail[top + i], inner.choice, inner.fixed = inner, way.choices[i], true
      end
      length, node.way = top + #way.nodes, way
      return true
    end
    way.last.kids[way.choice] = found
    for id in host.rawpairs(exit.used) do
      if id <= exit.first_id then use_above(top, id) end
    end
    each(found)
  end
  return false
end

-- The scope at the end of the trail is followed once more, each of its paths from the beginning of the program.
local function start_again(node)
  node.through, node.way, node.kids, node.exits, node.is_lossy, node.is_wrong = false, nil, {}, {}, nil, nil
  return true
end

-- The next choice of the last fork behind `top` that has one.
local function advance(top)
  while length > top do
    local node = trail[length]
    unchanged = length - 1
    if not node.fixed and node.choice < (node.last or node.n) then
      node.choice = node.choice + 1
      return true
    end
    if node.is_wrong then return start_again(node) end
    if node.through and not node.fixed and next_way(node) then return true end
    if node.kind == "scope" and trying == 0 and not node.fixed then exits.forget(node) end
    if node.kind == "place" then places.leave(trail, length - 1, state.undecided) end
    trail[length], length = nil, length - 1
  end
  return false
end

-- The next path, or way through a part of one; false if there is none.
local function go_back(top)
  if not advance(top) then return false end
  same.forget(unchanged)
  return true
end

-- A run is over: whether there may be another.
local function run_is_over()
  enough = enough or not report(number)
  number = number + 1
  return not enough
end

-- The way that has just been followed, with the nodes on it. `back`: what it came back with.
local function note_way(scope, way, back)
  way.nodes, way.choices, way.forks = {}, {}, forks - scope.forks
  for i = scope.depth + 1, length do
    way.nodes[i - scope.depth], way.choices[i - scope.depth] = trail[i], trail[i].choice
  end
  way.last, way.choice = trail[length], trail[length].choice
  if #points == 0 then return end               -- the path will be run from its beginning, with other variables
  way.back, way.since, way.made = back, undo.since(scope.mark), same.count() - scope.made
  way.behind = table.move(behind, scope.behind + 1, #behind, 1, {})
end

-- Passes a scope by a way that has been found, without running it. Gives what it came back with.
local function take_again(scope, way)
  undo.again(way.since)
  same.skip(depth, way.made)
  for i = 1, #way.behind do behind[#behind + 1] = way.behind[i] end
  for id in host.rawpairs(way.seen) do segment[id] = true end
  for id = scope.first_id + 1, names.last() do segment[id] = true end
  depth, forks = depth + #way.nodes, forks + way.forks
  if watch then passed() end
  return way.back
end

local function open(scope)
  scopes[#scopes + 1], scope.seen = scope, {}
  boundary = boundary + 1
end

-- The leaf that the path came to hangs on its last node.
local function hang_leaf()
  if not leaf then return end
  trail[length].kids[trail[length].choice] = leaf
  each(leaf)
end

-- True if nothing behind `top` has another choice.
local function is_only_way(top)
  local only = true
  for i = length, top + 1, -1 do
    local node = trail[i]
    only = only and (node.fixed or (node.choice >= node.n and not (node.through and node.turn < #node.through)))
  end
  return only
end

-- One way through a scope, or what the path came to inside. What pcall(fn) gave, if there is no other way.
local function try_way(scope, fn, result_of)
  leaf = nil
  open(scope)
  local back = table.pack(pcall(fn))
  if given_up or enough then return nil end
  if not back[1] and back[2] == STOP then return hang_leaf() end
  local through, is_only = scope.node.through, #scope.node.through == 0 and is_only_way(scope.depth)
  local way = make_way(scope, length, result_of, back, merges())
  note_way(scope, way, back)
  if is_only then return way, back end
  through[#through + 1] = way
end

local function forget_ways(node)
  for i = length, depth + 1, -1 do trail[i] = nil end
  start_again(node)
  length = depth
  if trying > 0 then raise(STOP, 0) end
  given_up = false
end

-- Finds all ways through a scope, and lays out the first. If it is the only one, the path has taken it: returns the way and what
-- pcall(fn) gave.
local function find_ways(scope, fn, result_of)
  local node = scope.node
  scope.mark, scope.forks, scope.made, scope.behind = undo.mark(), forks, same.count(), #behind
  if trying == 0 then tried = scope end
  node.through, node.turn, trying = {}, 0, trying + 1
  repeat
    local way, back = try_way(scope, fn, result_of)
    if way then
      trying = trying - 1
      node.way = way.since and way
      return way, back
    end
    undo.back(scope.mark)
    depth = scope.depth
  until given_up or not run_is_over() or not go_back(depth)
  trying = trying - 1
  same.forget(scope.depth - 1)
  if given_up then return forget_ways(node) end
  leaf = nil
  if not next_way(node) then raise(STOP, 0) end
end

--- True while ways through a scope are being found: what is done can be taken back.
function fork.is_trying() return trying > 0 end

--- What comes cannot be taken back.
function fork.give_up()
  given_up = true
  raise(STOP, 0)
end

-- Comes out of a scope where no path has been behind it: to its exit, or to one of another path.
local function leave_scope(scope, way)
  local found, exit = exits.merged(scope.node, way, trying > 0 and tried or nil)
  if found then
    for id in host.rawpairs(exit.used) do
      local left = id > scope.first_id and exit.left[id]
      if id <= scope.first_id then use(id) elseif left then use(names.same(left.symbol)) end
    end
    fork.leave(found)
  end
end

--- Runs fn in a scope. `result_of(ok, value, ...)` names what it came to. Returns what pcall(fn) does.
-- `accepts`: what is not known inside is accepted.
function fork.scope(kind, title, fn, result_of, accepts)
  local node = fork.mark(enter_node, kind, title)
  local scope, way, back = { node = node, depth = depth, first_id = names.last() }, nil, nil
  node.accepts = accepts
  if node.through == nil and merges and can_take_back(kind) then way, back = find_ways(scope, fn, result_of) end
  if not back and node.way and node.way.since then
    way, scope.seen = node.way, node.way.seen
    back = take_again(scope, way)
  else
    if not back then
      open(scope)
      back = table.pack(fork.pcall(fn))
    end
    scopes[#scopes] = nil
  end
  local outer, exit_node = scopes[#scopes], trail[depth + 1]
  if not exit_node and not way then
    if merges then
      way = make_way(scope, depth, result_of, back, merges())
    else
      way = make_way(scope, depth, result_of, back)
    end
    leave_scope(scope, way)
  end
  exit_node = fork.mark(exits.new, scope, way)
  local exit = exit_node.exit
  exit.first_id, exit.last_id, exit.seen = scope.first_id, names.last(), scope.seen
  behind[#behind + 1] = exit
  for id in host.rawpairs(outer and scope.seen or NOTHING) do outer.seen[id] = true end
  boundary = boundary + 1
  return table.unpack(back, 1, back.n)
end

local function join(place)
  for i = 1, #place.needs do
    use(names.same(place.needs[i]))
  end
  fork.leave { joined = place }
end

-- At a place where no path has been: one that has been at the same.
local function arrive(at, key)
  local like = places.like(key)
  if like then join(like) end
  latest = fork.mark(places.new, at, key)
  latest.last_id = names.last()
  for id in host.rawpairs(segment) do latest.known[id] = names.known(id) or false end
end

--- A place of the program, with the values that count from there on.
function fork.at(place, ...)
  if not state or #scopes > 0 or trail[depth] == latest then return end
  local node = trail[depth + 1]
  if node then
    if node.at ~= place then return end
    latest = fork.mark(places.new)
  else
    local key = state.key(place, ...)
    if not key then return end
    arrive(place, key)
  end
  segment, boundary = {}, boundary + 1
end

--- The path can go on from here, any number of times: go_on(a, b) does.
function fork.here(go_on, a, b)
  local n = #points
  if n > 0 and points[n].depth == depth then n = n - 1 end
  points[n + 1] = { depth = depth, mark = undo.mark(), go_on = go_on, a = a, b = b }
end

local function begin()
  latest, segment, depth, forks, looks, leaf, scopes, behind, looked, boundary = nil, {}, 1, 0, 0, nil, {}, {}, {}, 0
  names.begin(state)
  undo.begin()
end

--- Scopes that are followed by their ways: where can(kind) is true.
function fork.take_back_if(can) can_take_back = can end

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

-- Stops have texts for keys where they come from the host.
local function watching(given)
  if not given then return nil end
  local stops = {}
  for _, stop in ipairs(given.stops) do stops[stop.path] = stop end
  return { from = given.from, passed = given.passed, stops = stops }
end

-- A path from its beginning, or from where it can go on.
local function run(path)
  local point = points[#points]
  if not point then
    begin()
    same.begin()
  else
    undo.back(point.mark)
    depth, leaf = point.depth, nil
  end
  if watch then passed() end
  if not point then return path() end
  return path(point.go_on, point.a, point.b)
end

-- The next path, from the deepest point before what is another now; false if there is none.
local function next_path()
  if not go_back(1) then return false end
  for i = #points, 1, -1 do
    if points[i].depth <= unchanged then break end
    points[i] = nil
  end
  return true
end

--- Runs `path` once for every path: path() from the beginning, path(go_on, a, b) from where it can go on. `ended(leaf)` is called
-- behind each, `went_on(n)` behind the nth run, and says whether to go on. `can_merge`: gives a text for what functions that are
-- looked with change and a list of the symbols that come again, or nil; false if it cannot. `watched` { from, passed, stops =
-- { { path, depth, why, file, line } } }: passed(depth) is called at every node from run number `from` on, and stops are where
-- paths do not end. `with_state`: lua/explore_state.lua, or nil: paths do not join at places. `begins`: only the paths that begin
-- with these choices. Returns the root, and whether all was explored.
function fork.explore(path, ended, went_on, can_merge, watched, with_state, begins)
  local root = { kind = "root", n = 1, choice = 1, kids = {} }
  trail, length, merges, number, watch = { root }, 1, can_merge, 1, watching(watched)
  state, each, report, trying, given_up, enough = with_state, ended, went_on, 0, false, false
  forced, points = begins, {}
  places.begin()
  repeat
    local ok, e = pcall(run, path)
    if not ok and e ~= STOP then raise(e, 0) end
    if enough then return root, false end
    hang_leaf()
    if not run_is_over() then return root, false end
  until not next_path()
  return root, not enough
end

return fork
