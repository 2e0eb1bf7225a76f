-- SPDX-License-Identifier: Apache-2.0
-- Runs a program that is written as steps (lua/instrument_steps.lua). Where it is, is a step and the values of the locals: a
-- search can come back to both, any number of times.

local steps = {}

--- What a step gives first when the program goes on behind it.
steps.done = {}

local unpack, pack, done = table.unpack, table.pack, steps.done

local at_step                   -- called in front of each step, or nil

--- Has at(step, values) called in front of each step: steps.go_on(step, values) goes on from there.
function steps.watch(at) at_step = at end

local function behind(step, mark, ...)
  if mark == done then return step.next, pack(...) end
  return nil, pack(mark, ...)
end

local function take(step, values) return behind(step, step.run(unpack(values, 1, values.n))) end

local function branch(step, values) return step.run(unpack(values, 1, values.n)) and step.yes or step.next, values end

local function turned(step, values, ...)
  local n = select("#", ...)
  if n == 0 then return step.next, values end
  local inside = table.move(values, 1, step.n, 1, {})
  for i = 1, n do inside[step.n + i] = (select(i, ...)) end
  inside.n = step.n + n
  return step.body, inside
end

-- What tells the turn of a loop stands behind the locals around it.
local function turn(step, values)
  local inside = table.move(values, 1, step.n, 1, {})
  inside[step.n + 1] = values[step.n + 1]
  return turned(step, values, step.run(unpack(inside, 1, step.n + 1)))
end

local function begin(step, values)
  local inside = table.move(values, 1, step.n, 1, { n = step.n + 1 })
  inside[step.n + 1] = -math.huge
  return step.next, inside
end

local link

local function link_loop(item, after)
  local again = { take = turn, run = item.turn, n = item.n, next = after }
  again.body = link(item[1], again)
  return { take = begin, n = item.n, next = again }
end

-- { condition, block, condition, block, ..., block of else }
local function link_if(item, after)
  local step = after
  for i = #item, 1, -1 do
    if type(item[i]) == "function" then
      step = { take = branch, run = item[i], yes = link(item[i + 1], after), next = step }
    elseif i % 2 == 1 then
      step = link(item[i], after)
    end
  end
  return step
end

-- The first step of a block; behind its last comes `after`.
function link(block, after)
  local step = after
  for i = #block, 1, -1 do
    local item = block[i]
    if type(item) == "function" then
      step = { take = take, run = item, next = step }
    else
      step = (item.turn and link_loop or link_if)(item, step)
    end
  end
  return step
end

--- Goes on from a step to the end of the program, and gives what that returns.
function steps.go_on(step, values)
  while step do
    if at_step then at_step(step, values) end
    step, values = step.take(step, values)
  end
  return unpack(values, 1, values.n)
end

local finish = { take = function() return nil, { n = 0 } end }

--- Runs a program.
function steps.run(block, ...) return steps.go_on(link(block, finish), pack(...)) end

return steps
