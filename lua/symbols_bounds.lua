-- SPDX-License-Identifier: Apache-2.0
-- Between which numbers a sum, product or quotient of two symbols is.

local bounds = {}

local BESIDES_S = 86400         -- what is no waiting takes less than a day

--- { lo, hi, integer } of l op r, each { lo, hi, integer }. passed: for a difference of two times, how long was waited between.
function bounds.from(op, passed, l, r)
  local out = { integer = l[3] and r[3] and op ~= "/" and op ~= "^" }
  if op == "+" then
    out.lo, out.hi = l[1] + r[1], l[2] + r[2]
  elseif op == "-" and passed and passed >= 0 then
    out.lo, out.hi = 0, passed + BESIDES_S
  elseif op == "-" then
    out.lo, out.hi = l[1] - r[2], l[2] - r[1]
  elseif (op == "*" or op == "/" or op == "//") and l[1] >= 0 and r[1] >= 0 then
    out.lo = 0
  elseif op == "%" and r[1] >= 0 then
    out.lo, out.hi = 0, r[2]
  end
  if out.lo ~= out.lo then out.lo = nil end
  if out.hi ~= out.hi then out.hi = nil end
  return out
end

return bounds
