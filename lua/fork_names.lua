-- SPDX-License-Identifier: Apache-2.0
-- The numbers of symbols on a path, and what they are called on every path: by their texts, and by their order where several
-- have one text. A record has a number, and so has each of its fields, a fraction below it: what is known of one field says
-- nothing of the others.

local undo = host.module("undo")

local names = {}

local last                      -- number of the latest symbol
local with                      -- lua/explore_state.lua, or nil: nothing but the number is kept
local symbols                   -- number -> { text, its order among those with this text, object: what is known of it, who }
local numbers                   -- text -> the numbers of those that have it

--- A new path.
function names.begin(state)
  last, with, symbols, numbers = 0, state, {}, {}
end

local function renew(id, symbol, is_there)
  if symbol then
    symbols[id] = is_there and symbol or nil
    numbers[symbol.text][symbol.order] = is_there and id or nil
  end
  last = is_there and id or id - 1
end

--- The number of a new symbol. `object`: what is known of it.
function names.new(text, object)
  last = last + 1
  local symbol = false
  if with then
    local list = numbers[text]
    if not list then
      list = {}
      numbers[text] = list
    end
    symbol = { text = text, order = #list + 1, object = object }
    list[#list + 1], symbols[last] = last, symbol
  end
  undo.note(renew, last, symbol)
  return last
end

--- The number of the latest symbol.
function names.last() return last end

--- The number of the nth field of a record.
function names.part(id, n) return id - 1 + n / 1024 end

--- What a symbol is called on every path.
function names.who(id)
  if not with then return id end
  local symbol = symbols[id]
  if not symbol.who then symbol.who = symbol.text .. "\2" .. symbol.order end
  return symbol.who
end

--- What is known of a symbol, or of a field of a record, now.
function names.known(id)
  local whole = math.ceil(id)
  local symbol = symbols[whole]
  return symbol and symbol.object and with.of(symbol.object, whole ~= id and (id - whole + 1) * 1024 // 1 | 0 or nil)
end

--- True if a symbol is computed from others: who computes the same has the same symbol.
function names.is_computed(id)
  local symbol = symbols[id]
  return symbol and symbol.object and symbol.object.expr ~= nil
end

--- A symbol or field in the words of every path: what same() finds it by.
function names.describe(id)
  local whole = math.ceil(id)
  local symbol = symbols[whole]
  return { text = symbol.text, order = symbol.order, offset = id - whole }
end

--- The number that one of another path has on this one, or nil.
function names.same(described)
  local list = numbers[described.text]
  local id = list and list[described.order]
  return id and id + described.offset
end

return names
