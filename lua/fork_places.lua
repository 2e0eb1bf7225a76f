-- SPDX-License-Identifier: Apache-2.0
-- Places of a program where a path has been and behind which everything is explored: what was used behind one, and what was known
-- of it there.

local names = host.module("fork_names")

local places = {}

local PLACES_MAX = 32           -- of one key

local by_key                    -- key of a place -> the nodes there, all behind them explored

function places.begin() by_key = {} end

--- The node of a place where no path has been.
function places.new(at, key) return { kind = "place", at = at, line = 0, key = key, used = {}, known = {} } end

-- True if this path knows what was known at a place of all that was used behind it.
local function knows(place)
  for i = 1, #place.needs do
    local need = place.needs[i]
    local id = names.same(need)
    if not id or names.known(id) ~= need.known then return false end
  end
  return true
end

--- A place with this key behind which the path would do the same, or nil.
function places.like(key)
  for _, place in ipairs(by_key[key] or {}) do
    if knows(place) then return place end
  end
end

-- What was known of a symbol at the place trail[at + 1], or at the one above it where it was looked at last.
local function known_at(node, id, trail, at)
  local known = node.known[id]
  for i = at, 2, -1 do
    if known ~= nil then break end
    known = trail[i].kind == "place" and trail[i].known[id] or nil
  end
  return known
end

--- Everything behind the place trail[at + 1] is explored. `undecided`: what is known of a field that nobody has looked at.
function places.leave(trail, at, undecided)
  local node, outer, needs, complete = trail[at + 1], nil, {}, true
  for i = at, 2, -1 do
    if trail[i].kind == "place" then
      outer = trail[i]
      break
    end
  end
  for id in host.rawpairs(node.used) do
    if outer and id <= outer.last_id then outer.used[id] = true end
    local need, known = names.describe(id), known_at(node, id, trail, at)
    if known == nil and need.offset ~= 0 then known = undecided end
    complete = complete and known
    need.known, needs[#needs + 1] = known, need
  end
  local list = by_key[node.key] or {}
  by_key[node.key] = list
  if complete and #list < PLACES_MAX then
    node.needs = needs
    list[#list + 1] = node
  end
  node.known, node.used = nil, nil
end

return places
