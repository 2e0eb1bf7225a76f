-- SPDX-License-Identifier: Apache-2.0
-- What becomes known of a variable. All of it can be taken back (lua/undo.lua).

local undo = host.module("undo")
local change = undo.set

local narrowing = {}

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
    change(var, "hi", k)
    change(var, "hi_open", not inclusive)
  else
    local next_one = var.integer and inclusive
    change(var, "lo", next_one and k + 1 or k)
    change(var, "lo_open", inclusive and not next_one)
  end
  shrink(var)
end

--- It is k.
function narrowing.fix(var, k)
  change(var, "lo", k)
  change(var, "hi", k)
  change(var, "lo_open", false)
  change(var, "hi_open", false)
end

--- In a set that `owner` may have: owner[field][key] = v.
function narrowing.put(owner, field, key, v)
  if not owner[field] then change(owner, field, {}) end
  change(owner[field], key, v)
end

--- It is not k.
function narrowing.exclude(var, k)
  narrowing.put(var, "ne", k, true)
  shrink(var)
end

return narrowing
