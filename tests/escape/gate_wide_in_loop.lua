-- expect: KILLED
-- Values that are refused after a long look at them.
local t = {}
for i = 1, 300000 do t[i] = i end
t[300002] = 1
while true do try(look, t) end
