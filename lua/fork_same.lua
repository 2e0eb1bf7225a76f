-- SPDX-License-Identifier: Apache-2.0
-- Objects that a path makes again. What was noted of a part of the program (lua/undo.lua) is about the objects that were there
-- before it: a path that is run again up to that part has to have the same ones, and not others that are like them.

local same = {}

local objects, born             -- by their order on the path; at which node of the trail each was made
local count, top                -- how many this path has made; how many are there to be taken again

function same.begin() objects, born, count, top = {}, {}, 0, 0 end

--- How many objects the path has made.
function same.count() return count end

function same.back(n) count = n end

--- The nodes of the trail behind this one are others from now on.
function same.forget(depth)
  while top > 0 and born[top] > depth do top = top - 1 end
end

--- What make(...) gives at this node of the trail, or what it gave when the path was here before. Whatever is changed of it can
-- be taken back; make does not ask for the same of others.
function same.of(depth, make, ...)
  count = count + 1
  if count > top then objects[count], born[count], top = make(...), depth, count end
  return objects[count]
end

--- The path passes a part in which it has made n objects.
function same.skip(depth, n)
  for i = top + 1, count + n do objects[i], born[i] = false, depth end
  count = count + n
  top = math.max(top, count)
end

return same
