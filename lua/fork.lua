-- SPDX-License-Identifier: Apache-2.0
-- The search over all paths: a path is run again from its beginning, with the choices of the path before but for the
-- last one, which is the next of its fork. What was chosen is a tree, whose nodes are the forks and the marks in between.
--
-- A scope is a part of the program that comes to one of few results, such as the test of a hypothesis. A path that leaves
-- a scope with the result of an earlier one, and differs from it only in what is not looked at behind the scope, would go
-- on like that one: it ends there, as another way to the same.

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
local merges                    -- false: functions that are looked with change things
local number                    -- of this path
local watch                     -- { from, passed, stops }: a path that does not end is found by what it passed last

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

function fork.new_id()
  ids = ids + 1
  return ids
end

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
  depth = depth + 1
  local node = trail[depth]
  if not node then
    local file, line = host.where()
    node = { n = n, choice = 1, kids = {}, texts = {}, file = file, line = line, about = about }
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

--- Something that happens on the path without a choice: make(a, b) gives its node, once.
function fork.mark(make, a, b)
  depth = depth + 1
  local node = trail[depth]
  if not node then
    node = make(a, b)
    node.n, node.choice, node.kids = 1, 1, {}
    if not node.line then node.file, node.line = host.where() end
    add(node)
  end
  if watch then passed() end
  return node
end

-- Looks of a symbol that count: once between two boundaries of scopes.
local function remember(id)
  looked[id] = boundary
  for i = 1, #scopes do scopes[i].seen[id] = true end
  for i = 1, #exits do
    local exit = exits[i]
    if id <= exit.last_id then
      exit.used[id] = true
      if id > exit.first_id then exit.leaked = true end
    end
  end
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
local function merge(scope, result)
  for _, exit in ipairs(scope.node.exits) do
    if exit.result == result and is_same(exit, scope) then
      exit.ways = exit.ways + 1
      if exit.ways <= WAYS_MAX then exit.because[exit.ways] = conditions(scope.depth + 1, depth) end
      for i = 1, #exits do
        for id in host.rawpairs(exit.used) do
          if id <= exits[i].last_id then exits[i].used[id] = true end
        end
      end
      fork.leave { merged = exit.node }
    end
  end
end

local function make_exit(scope, result)
  local node = { kind = "exit", of = scope.node, result = result }
  node.exit = { node = node, result = result, ways = 1, because = { conditions(scope.depth + 1, depth - 1) }, used = {} }
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
  if merges and not trail[depth + 1] then merge(scope, result) end
  local exit = fork.mark(make_exit, scope, result).exit
  exit.first_id, exit.last_id, exit.seen = scope.first_id, ids, scope.seen
  exits[#exits + 1] = exit
  boundary = boundary + 1
  return table.unpack(back, 1, back.n)
end

local function begin()
  number = number + 1
  depth, looks, leaf, scopes, exits, ids, looked, boundary = 1, 0, nil, {}, {}, 0, {}, 0
end

-- The next choice of the last fork that has one.
local function advance()
  while length > 1 do
    local node = trail[length]
    if node.choice < node.n then
      node.choice = node.choice + 1
      return true
    end
    trail[length], length = nil, length - 1
  end
  return false
end

--- The choices of this path, for a place to begin from.
function fork.prefix()
  local list = {}
  for i = 2, length do list[i - 1] = trail[i].choice end
  return list
end

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

--- Runs `path` once for every path. `each(leaf)` is called behind each and says whether to go on. `can_merge`: functions that
-- are looked with change nothing. `watched` { from, passed, stops = { { path, depth, why, file, line } } }: passed(depth) is
-- called at every node from path number `from` on, and stops are where paths do not end. Returns the root and whether all was
-- explored.
function fork.explore(path, each, can_merge, watched)
  local root = { kind = "root", n = 1, choice = 1, kids = {} }
  trail, length, merges, number, watch = { root }, 1, can_merge, 0, watching(watched)
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
