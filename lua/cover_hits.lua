-- SPDX-License-Identifier: Apache-2.0
-- What a program in its counted form (lua/cover.lua) notes, and who reads it.

local hits = {}
-- A table for the counted form, a function for the one that notes decisions.
hits.ops = setmetatable({}, { __call = function(ops, id, v)
  rawset(ops, v and id + 1 or id, true)
  return v
end })

--- The numbers of the branches that were reached, in no order.
function hits.list()
  local list = {}
  for n in pairs(hits.ops) do list[#list + 1] = n end
  return host.array(list)
end

return hits
