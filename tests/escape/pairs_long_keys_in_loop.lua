-- expect: KILLED
-- Keys that differ only at their end.
local t, p = {}, ("x"):rep(60000)
for i = 1, 500 do t[p .. i] = i end
while true do for _ in pairs(t) do break end end
