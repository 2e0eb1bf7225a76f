-- SPDX-License-Identifier: Apache-2.0
-- What becomes known of a variable. All of it can be taken back (lua/undo.lua).

local undo = host.module("undo")
local set = undo.set

local narrowing = {}

local latest = 0                -- version of an object

--- Something else is known of t: what lua/explore_state.lua says of it is said of one version.
function narrowing.touch(t)
  latest = latest + 1
  set(t, "version", latest)
end

--- t[key] = v
local function change(t, key, v)
  narrowing.touch(t)
  set(t, key, v)
end
narrowing.change = change

-- An end that was excluded moves inwards, if the variable is an integer.
local function shrink(var)
  local ne = var.ne
  if not ne then return end
  while ne[var.lo] and var.lo < var.hi do
    if not var.integer then
      change(var, "lo_open", true)
      break
    end
    change(var, "lo", var.lo + 1)
  end
  while ne[var.hi] and var.lo < var.hi do
    if not var.integer then
      change(var, "hi_open", true)
      break
    end
    change(var, "hi", var.hi - 1)
  end
end

--- var < k (or var <= k) if `below`, else the opposite.
function narrowing.narrow(var, k, inclusive, below)
  if below then
    set(var, "hi", k)
    change(var, "hi_open", not inclusive)
  else
    local next_one = var.integer and inclusive
    set(var, "lo", next_one and k + 1 or k)
    change(var, "lo_open", inclusive and not next_one)
  end
  shrink(var)
end

--- It is k.
function narrowing.fix(var, k)
  set(var, "lo", k)
  set(var, "hi", k)
  set(var, "lo_open", false)
  change(var, "hi_open", false)
end

--- In a set that `owner` may have: owner[field][key] = v.
function narrowing.put(owner, field, key, v)
  narrowing.touch(owner)
  if not owner[field] then set(owner, field, {}) end
  set(owner[field], key, v)
end

--- It is not k.
function narrowing.exclude(var, k)
  narrowing.put(var, "ne", k, true)
  shrink(var)
end

return narrowing
