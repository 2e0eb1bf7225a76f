-- SPDX-License-Identifier: Apache-2.0
-- What a path changes of what was there before, noted so that it can be taken back: a part of the program is followed
-- again and again from where it begins. What it did can be done again as well, without the program: everything that a path
-- changes is noted here, in its order. Tables that are made meanwhile are just forgotten.

local undo = {}

local log, n = {}, 0            -- table, key, value before, one change behind another; or a function and what it gets
local keepers = {}              -- { keep, again }: see undo.keep
local notes = {}                -- functions that are noted -> true

--- t[key] = v, and back.
function undo.set(t, key, v)
  log[n + 1], log[n + 2], log[n + 3] = t, key, t[key] == nil and log or t[key]
  n = n + 3
  t[key] = v
end

local function copy_of(t)
  local copy = {}
  for key, v in host.rawpairs(t) do copy[key] = v end
  return copy
end

--- All of t as it is, and back.
function undo.save(t)
  log[n + 1], log[n + 2], log[n + 3] = t, log, copy_of(t)
  n = n + 3
end

--- Something that the caller has done: f(a, b, false) takes it back, f(a, b, true) does it again.
function undo.note(f, a, b)
  notes[f] = true
  log[n + 1], log[n + 2], log[n + 3] = f, a, b
  n = n + 3
end

local function put_back(t, copy)
  for key in host.rawpairs(t) do
    if copy[key] == nil then host.rawset(t, key, nil) end
  end
  for key, v in host.rawpairs(copy) do host.rawset(t, key, v) end
end

--- Registers keep(), which is called at every mark and gives what brings back the state of a module then; again(), if what may be
-- done again changes that state, gives the same at the end of that.
function undo.keep(keep, again) keepers[#keepers + 1] = { keep = keep, again = again } end

--- A point to come back to, any number of times.
function undo.mark()
  local mark = { n = n }
  for i = 1, #keepers do mark[i] = keepers[i].keep() end
  return mark
end

--- What has been done since the mark, for undo.again.
function undo.since(mark)
  local list, last, changes = {}, {}, 0
  for i = mark.n + 1, n, 3 do
    local t, key, v = log[i], log[i + 1], log[i + 2]
    if key == log then
      v = copy_of(t)
    elseif not notes[t] then
      v = t[key]
      if v == nil then v = log end
    end
    list[changes + 1], list[changes + 2], list[changes + 3] = t, key, v
    changes = changes + 3
  end
  for i = 1, #keepers do last[#last + 1] = keepers[i].again and keepers[i].again() end
  return { list = list, n = changes, last = last }
end

--- Does it again, where it began then.
function undo.again(since)
  local list, set = since.list, undo.set
  for i = 1, since.n, 3 do
    local t, key, v = list[i], list[i + 1], list[i + 2]
    if notes[t] then
      t(key, v, true)
      undo.note(t, key, v)
    elseif key == log then
      undo.save(t)
      put_back(t, v)
    elseif v == log then
      set(t, key, nil)
    else
      set(t, key, v)
    end
  end
  for i = 1, #since.last do since.last[i]() end
end

--- Everything is as it was at the mark.
function undo.back(mark)
  for i = n, mark.n + 1, -3 do
    local t, key, before = log[i - 2], log[i - 1], log[i]
    if notes[t] then
      t(key, before, false)
    elseif key == log then
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
function undo.begin() n = 0 end

return undo
