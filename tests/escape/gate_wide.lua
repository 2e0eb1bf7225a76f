-- expect: REFUSED
-- More than a megabyte.
local t = {}
for i = 1, 500000 do t[i] = i end
look(t)
