-- expect: KILLED
-- Strings that are kept.
local t = {}
for i = 1, math.maxinteger do t[i] = ("x"):rep(100000) .. i end
