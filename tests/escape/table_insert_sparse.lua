-- expect: REFUSED
-- A border far out, without any metatable.
local t = {}
for i = 1, 64 do t[i] = i end
for i = 0, 40 do t[1 << i] = 1 end
table.insert(t, 1, 0)
table.move(t, 1, 1 << 40, 1)
