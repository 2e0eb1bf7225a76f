-- SPDX-License-Identifier: Apache-2.0
-- From the tree of all paths to a map: forks on which nothing depends are left out, equal parts are there once, and what
-- was merged into one way is one way.

local gate = host.module("explore_gate")

local tree = {}

local PIECE = 40                -- nodes or paths that go to the host at once

local nodes, index              -- the nodes of the map; what is written in one -> its place
local paths, path_limit

-- The place of a node with this content.
local function place_of(node)
  local key = host.encode(node)
  if not index[key] then
    nodes[#nodes + 1] = node
    index[key] = #nodes
  end
  return index[key]
end

local function leaf_place(leaf)
  return place_of { kind = leaf.bound and "bound" or "leaf", outcome = leaf.outcome, reason = leaf.reason,
    text = leaf.text or leaf.why, what = leaf.bound, file = leaf.file, line = leaf.line }
end

local follow

-- Everything that leaves the scope of `entry`, below `node`: exits, and leaves inside. Each { text, because, ways, to }.
local function outs_of(entry, node, because, outs)
  if node.outcome or node.bound then
    outs[#outs + 1] = { leaf = node, because = because }
  elseif node.kind == "exit" and node.of == entry then
    outs[#outs + 1] = { exit = node, because = because }
  elseif not node.merged and not node.impossible then
    for choice = 1, node.n do
      local kid, text = node.kids[choice], node.texts and node.texts[choice]
      if kid then
        local inner = because
        if text then
          inner = {}
          for i = 1, #because do inner[i] = because[i] end
          inner[#inner + 1] = text
        end
        outs_of(entry, kid, inner, outs)
      end
    end
  end
end

local said = { look = { holds = "it holds", refuted = "it does not hold", inconclusive = "it cannot be told", error = "error" },
  wait = { holds = "it happens", refuted = "it does not happen", inconclusive = "it cannot be told" } }

local function text_of_exit(entry, out)
  local because = table.concat(out.because, " and ")
  if entry.scope == "cause" then
    return "cause: " .. out.exit.result
  end
  local ways = out.exit.exit.ways
  local words = entry.title and entry.scope == "wait" and entry.title .. ": " .. said.wait[out.exit.result] or because
  if words == "" then words = (said[entry.scope] or said.look)[out.exit.result] or out.exit.result end
  if ways > 1 and not (entry.title and entry.scope == "wait") then
    words = string.format("%s (or %d other way%s)", words, ways - 1, ways == 2 and "" or "s")
  end
  return words
end

local function scope_node(entry)
  local outs, of, seen = {}, {}, {}
  outs_of(entry, entry.kids[1], {}, outs)
  for _, out in ipairs(outs) do
    local way
    if out.exit then
      way = { text = text_of_exit(entry, out), because = host.array(out.because), to = follow(out.exit.kids[1]) }
    else
      way = { text = table.concat(out.because, " and "), because = host.array(out.because), to = follow(out.leaf), ends = true }
    end
    if way.to then
      -- Ways to the same, of which one is enough to be read.
      local key = (out.exit and "" or "leaf") .. way.to .. (entry.scope == "cause" and out.exit and out.exit.result or "")
      if not seen[key] then
        seen[key] = way
        of[#of + 1] = way
      else
        seen[key].more = (seen[key].more or 0) + 1
      end
    end
  end
  return { kind = entry.scope, title = entry.title, file = entry.file, line = entry.line, of = of }
end

local function fork_node(node)
  local of, same = {}, true
  for choice = 1, node.n do
    local kid = node.kids[choice]
    local to = kid and follow(kid)
    if to then
      of[#of + 1] = { text = node.texts and node.texts[choice] or nil, to = to }
      same = same and to == of[1].to
    end
  end
  if #of == 0 then return nil end
  return { kind = "fork", about = node.about, file = node.file, line = node.line, of = of }, same
end

--- The place of what a node of the tree leads to, or nil if there is nothing behind it.
function follow(node)
  if not node then return nil end
  if node.place ~= nil then return node.place or nil end
  local place
  if node.outcome or node.bound then
    place = leaf_place(node)
  elseif node.joined then
    place = follow(node.joined)
  elseif node.merged then
    place = node.merged.of.scope == "remedy" and follow(node.merged.kids[1]) or nil
  elseif node.kind == "scope" and node.scope ~= "remedy" then
    local made = scope_node(node)
    if #made.of == 1 or (#made.of > 0 and made.scope ~= "cause" and node.scope == "where") then
      place = made.of[1].to
    elseif #made.of > 0 then
      place = place_of(made)
    end
  elseif node.kind == "effect" or node.kind == "ask" or node.kind == "skip" then
    local to = follow(node.kids[1])
    if to then
      place = place_of { kind = node.kind, text = node.text, title = node.title, effect = node.effect, target = node.target,
        file = node.file, line = node.line, of = { { to = to } } }
    end
  elseif node.n == 1 then
    place = follow(node.kids[1])
  elseif not node.impossible then
    local made, same = fork_node(node)
    if made and same then
      place = made.of[1].to
    elseif made then
      place = place_of(made)
    end
  end
  node.place = place or false
  return place
end

local function pieces(name, list)
  for from = 1, #list, PIECE do
    local piece = {}
    for i = from, math.min(from + PIECE - 1, #list) do piece[#piece + 1] = list[i] end
    gate.host("part", { { name = name, args = host.array(piece) } })
  end
end

local function add_path(leaf, conditions)
  local list = {}
  for i = 1, #conditions do list[i] = conditions[i] end
  paths[#paths + 1] = { conditions = host.array(list), effects = host.array(leaf.effects), outcome = leaf.outcome,
    reason = leaf.reason, text = leaf.text, file = leaf.file, line = leaf.line, uncaught = leaf.uncaught }
end

-- What came to a place where another path had been goes on like that one: its first way is enough.
local function collect_one(node, conditions)
  local kept = #conditions
  while node and not (node.outcome or node.bound or (node.merged and not node.joined) or node.impossible) do
    if node.joined then
      node = node.joined
    else
      local way
      for choice = 1, node.n do way = way or node.kids[choice] and not node.kids[choice].impossible and choice end
      local text = node.texts and node.texts[way]
      if text then conditions[#conditions + 1] = { text = text, file = node.file, line = node.line } end
      node = node.kids[way]
    end
  end
  if node and node.outcome then add_path(node, conditions) end
  for i = #conditions, kept + 1, -1 do conditions[i] = nil end
end

-- Every path of the map, with what it does.
local function collect(node, conditions)
  if not node or (node.merged and not node.joined) or node.impossible or #paths >= path_limit then return end
  if node.outcome then
    add_path(node, conditions)
    return
  end
  if node.bound then return end
  if node.joined then return collect_one(node.joined, conditions) end
  local first, differs = nil, false
  for choice = 1, node.n do
    local kid = node.kids[choice]
    if kid and not kid.impossible then
      local place = kid.place or kid
      first = first or place
      differs = differs or place ~= first
    end
  end
  for choice = 1, node.n do
    local kid = node.kids[choice]
    if kid then
      local text = differs and node.texts and node.texts[choice]
      local before = conditions[#conditions]
      if text and before and before.text == text and before.line == node.line then text = nil end
      if text then conditions[#conditions + 1] = { text = text, file = node.file, line = node.line } end
      collect(kid, conditions)
      if text then conditions[#conditions] = nil end
      if not differs and node.n > 1 then return end
    end
  end
end

-- Effects that are applied below a node, as a set of { line, effect, target }.
local function effects_below(node, out)
  if not node or node.outcome or node.bound or node.impossible then return out end
  if node.merged then return effects_below(node.merged.kids[1], out) end
  if node.joined then return effects_below(node.joined, out) end
  if node.effects then
    for key, e in host.rawpairs(node.effects) do out[key] = e end
    return out
  end
  local found = {}
  if node.kind == "effect" then found[node.file .. ":" .. node.line .. node.effect .. node.target] = node end
  for choice = 1, node.n do effects_below(node.kids[choice], found) end
  node.effects = found
  for key, e in host.rawpairs(found) do out[key] = e end
  return out
end

local function asks_about(node, roots)
  for _, who in host.rawpairs(node.roots or {}) do
    for _, asked in host.rawpairs(roots) do
      if asked == who then return true end
    end
  end
  return false
end

local NOTHING = {}
local comes_behind

-- Whether the effect comes, whatever the answer to the reads `roots` is: for each answer there is a way to it. Nil if nothing
-- at all comes here.
local function comes_anyway(node, roots, key, seen)
  if not node or node.impossible then return nil end
  if node.joined then return comes_anyway(node.joined, roots, key, seen) end
  if node.kind ~= "place" then return comes_behind(node, roots, key, seen) end
  if seen[node] == nil then
    local comes = comes_anyway(node.kids[1], roots, key, seen)
    seen[node] = comes == nil and NOTHING or comes
  end
  if seen[node] == NOTHING then return nil end
  return seen[node]
end

function comes_behind(node, roots, key, seen)
  if node.outcome or node.bound then return false end
  if node.merged then return comes_anyway(node.merged.kids[1], roots, key, seen) end
  if node.kind == "effect" and node.file .. ":" .. node.line .. node.effect .. node.target == key then return true end
  local every, result = asks_about(node, roots), nil
  for choice = 1, node.n do
    if choice ~= node.unknown or not every then
      local comes = comes_anyway(node.kids[choice], roots, key, seen)
      if comes ~= nil then
        if every and not comes then return false end
        if comes and not every then return true end
        result = comes
      end
    end
  end
  return result
end

-- Effects that come on this way of a read's answer, and with some known answer would not.
local function note_effects(node, choice, out)
  for key, e in host.rawpairs(effects_below(node.kids[choice], {})) do
    if not out[key] and comes_anyway(node.kids[1], node.roots, key, {}) == false then
      out[key] = { file = e.file, line = e.line, effect = e.effect, target = e.target, title = e.title, read = node.read,
        read_line = node.line }
    end
  end
end

-- Effects that come because an answer is missing, and those that come because a default stands in for it. What is accepted as
-- inconclusive by a diagnosis that says so is no such answer.
local function unknown_effects(node, out, defaults, accepting)
  if not node or node.outcome or node.bound or node.impossible or node.merged or node.joined then return end
  if node.kind == "scope" and node.accepts then accepting = node end
  if node.kind == "exit" and node.of == accepting then accepting = nil end
  if node.unknown and node.read then
    for choice = accepting and node.n + 1 or node.unknown, node.n do note_effects(node, choice, out) end
    if node.unknown > 2 then note_effects(node, 2, defaults) end
  end
  for choice = 1, node.n do unknown_effects(node.kids[choice], out, defaults, accepting) end
end

local WAYS_MAX = 2 ^ 53

-- How many ways lead from a node to an end; those that joined others count.
local function ways_behind(node)
  if not node or node.impossible then return 0 end
  if node.joined then return ways_behind(node.joined) end
  if node.outcome or node.bound or node.merged then return 1 end
  if not node.ways then
    node.ways = 0
    for choice = 1, node.n do node.ways = math.min(node.ways + ways_behind(node.kids[choice]), WAYS_MAX) end
  end
  return node.ways
end

--- Sends the map of a root to the host.
function tree.send(root, rest)
  nodes, index, paths, path_limit = {}, {}, {}, 20000
  local place = follow(root)
  collect(root, {})
  pieces("nodes", nodes)
  pieces("paths", paths)
  pieces("notes", rest.notes)
  pieces("decisions", rest.decisions)
  local hypotheses = {}
  for title, h in pairs(rest.hypotheses) do
    hypotheses[#hypotheses + 1] = { title = title, supported = h.supported, refuted = h.refuted, inconclusive = h.inconclusive }
  end
  pieces("hypotheses", hypotheses)
  local found = { unknown = {}, by_default = {} }
  unknown_effects(root, found.unknown, found.by_default)
  for name, effects in pairs(found) do
    local list = {}
    for _, e in pairs(effects) do list[#list + 1] = e end
    pieces(name, list)
  end
  gate.host("part", { { name = "", args = { root = place, ways = math.tointeger(ways_behind(root)),
    explored = rest.explored, ended = rest.ended } } })
end

return tree
