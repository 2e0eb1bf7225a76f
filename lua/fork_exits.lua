-- SPDX-License-Identifier: Apache-2.0
-- Exits of scopes, and which of them a path may go on like: one with the same result, if what is used behind it was not looked
-- at inside of the scope, or the same is known of it. A way has `left`, symbols that were made inside and that come again behind
-- it: number -> { who, known, symbol }, and who -> known.

local exits = {}

local WAYS_MAX = 20             -- ways to the same result that are remembered with their conditions

--- The node of a new exit of a scope, by this way.
function exits.new(scope, way)
  local node = { kind = "exit", of = scope.node, result = way.result }
  node.exit = { node = node, result = way.result, kept = way.kept, detail = way.detail, ways = 1, used = {}, known = way.known,
    left = way.left, because = { way.because } }
  scope.node.exits[#scope.node.exits + 1] = node.exit
  return node
end

--- A symbol is used behind an exit. If it was made inside of the scope, its ways have to be told apart, unless functions keep it:
-- of that the same may be known.
function exits.use(exit, id)
  if id > exit.last_id then return end
  exit.used[id] = true
  if id <= exit.first_id or (exit.left and exit.left[id]) then return end
  local scope = exit.node.of
  exit.leaked, scope.is_wrong = true, scope.is_lossy
end

-- What is used behind the exit was not looked at inside, or the same is known of it.
local function is_same(exit, way)
  if exit.leaked or exit.result ~= way.result or exit.kept ~= way.kept then return nil end
  local kind = "merged"
  for id in host.rawpairs(exit.used) do
    local left = exit.left and exit.left[id]
    if left then
      if way.left[left.who] ~= left.known then return nil end
    elseif way.seen[id] or exit.seen[id] then
      local known = exit.known and exit.known[id]
      if not known or exit.detail ~= way.detail or known ~= way.known[id] then return nil end
      kind = "joined"
    end
  end
  return kind
end

-- True if both know the same of all that they have looked at and that was made before the outermost scope.
local function knows_as_much(exit, way, seen, tried)
  for id in host.rawpairs(seen) do
    if id <= tried.first_id and not (exit.known and exit.known[id] and exit.known[id] == way.known[id]) then return false end
  end
  return true
end

-- Inside of a scope whose ways are being found nobody knows what will be used behind that one: of all that was made before
-- it the same must be known. What was made in it will hardly be used behind it; if it is, it is followed once more.
local function is_inside(exit, way, tried)
  if not tried then return true end
  if exit.detail ~= way.detail or not knows_as_much(exit, way, way.seen, tried) or
    not knows_as_much(exit, way, exit.seen, tried) then
    return false
  end
  tried.node.is_lossy = true
  return true
end

--- The leaf of a way that an earlier path came out of the scope like, and its exit; or nil. `tried`: the outermost scope whose
-- ways are being found, if there is one.
function exits.merged(node, way, tried)
  if not way.kept then return nil end
  for _, exit in ipairs(node.exits) do
    local same = is_same(exit, way)
    if same and is_inside(exit, way, tried) then
      exit.ways = exit.ways + 1
      if exit.ways <= WAYS_MAX then exit.because[exit.ways] = way.because end
      return { merged = exit.node, joined = same == "joined" and exit.node or nil }, exit
    end
  end
end

--- Everything in and behind a scope is explored: what is left is the tree.
function exits.forget(scope)
  for _, way in ipairs(scope.through or {}) do
    for _, node in ipairs(way.nodes) do
      if node.kind == "scope" then exits.forget(node) end
    end
  end
  scope.through, scope.way = nil, nil
  for _, exit in ipairs(scope.exits) do
    exit.used, exit.seen, exit.known, exit.left, exit.detail, exit.kept = nil, nil, nil, nil, nil, nil
  end
end

return exits
