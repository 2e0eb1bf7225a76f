-- SPDX-License-Identifier: Apache-2.0
-- What a path changes of what was there before, noted so that it can be taken back: a part of the program is followed
-- again and again from where it begins. Tables that are made meanwhile are just forgotten.

local undo = {}

local log, n = {}, 0            -- table, key, value before, one change behind another
local keepers = {}              -- each gives a function that puts back what it kept

--- t[key] = v, and back.
function undo.set(t, key, v)
  log[n + 1], log[n + 2], log[n + 3] = t, key, t[key] == nil and log or t[key]
  n = n + 3
  t[key] = v
end

--- All of t as it is, and back.
function undo.save(t)
  local copy = {}
  for key, v in host.rawpairs(t) do copy[key] = v end
  log[n + 1], log[n + 2], log[n + 3] = t, log, copy
  n = n + 3
end

local function put_back(t, copy)
  for key in host.rawpairs(t) do
    if copy[key] == nil then host.rawset(t, key, nil) end
  end
  for key, v in host.rawpairs(copy) do host.rawset(t, key, v) end
end

--- Registers keep(), which is called at every mark and gives what brings back the state of a module then.
function undo.keep(keep) keepers[#keepers + 1] = keep end

--- A point to come back to, any number of times.
function undo.mark()
  local mark = { n = n }
  for i = 1, #keepers do mark[i] = keepers[i]() end
  return mark
end

--- Everything is as it was at the mark.
function undo.back(mark)
  for i = n, mark.n + 1, -3 do
    local t, key, before = log[i - 2], log[i - 1], log[i]
    if key == log then
      put_back(t, before)
    elseif before == log then
      t[key] = nil                              -- it was not there; a list with holes would be no list
    else
      t[key] = before
    end
  end
  n = mark.n
  for i = 1, #mark do mark[i]() end
end

--- A new path: nothing to come back to.
function undo.begin() log, n = {}, 0 end

return undo
