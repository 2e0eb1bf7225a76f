-- SPDX-License-Identifier: Apache-2.0
-- The numbers of symbols on a path, and what they are called on every path: by their texts, and by their order where several
-- have one text. A record has a number, and so has each of its fields, a fraction below it: what is known of one field says
-- nothing of the others.

local undo = host.module("undo")

local names = {}

local last                      -- number of the latest symbol
local with                      -- lua/explore_state.lua, or nil: nothing but the number is kept
local texts, orders, objects    -- number -> text, its order among those, what is known of it
local counts, numbers           -- text -> how many have it, their numbers

--- A new path.
function names.begin(state)
  last, with, texts, orders, objects, counts, numbers = 0, state, {}, {}, {}, {}, {}
end

--- The number of a new symbol. `object`: what is known of it.
function names.new(text, object)
  last = last + 1
  if with then
    local order = (counts[text] or 0) + 1
    counts[text], texts[last], orders[last], objects[last] = order, text, order, object
    if order == 1 then numbers[text] = { last } else numbers[text][order] = last end
  end
  return last
end

--- The number of the latest symbol.
function names.last() return last end

--- The number of the nth field of a record.
function names.part(id, n) return id - 1 + n / 1024 end

--- What a symbol is called on every path.
function names.who(id) return with and texts[id] .. "\2" .. orders[id] or id end

--- What is known of a symbol, or of a field of a record, now.
function names.known(id)
  local whole = math.ceil(id)
  local object = objects[whole]
  return object and with.of(object, whole ~= id and (id - whole + 1) * 1024 // 1 | 0 or nil)
end

--- A symbol or field in the words of every path: what same() finds it by.
function names.describe(id)
  local whole = math.ceil(id)
  return { text = texts[whole], order = orders[whole], offset = id - whole }
end

--- The number that one of another path has on this one, or nil.
function names.same(described)
  local list = numbers[described.text]
  local id = list and list[described.order]
  return id and id + described.offset
end

undo.keep(function()
  local kept = last
  return function()
    for id = last, with and kept + 1 or last + 1, -1 do
      local text = texts[id]
      counts[text], numbers[text][orders[id]] = counts[text] - 1, nil
      texts[id], orders[id], objects[id] = nil, nil, nil
    end
    last = kept
  end
end)

return names
