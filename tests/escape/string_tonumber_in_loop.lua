-- expect: KILLED
-- The same with tonumber.
local s = ("1"):rep(1 << 22)
while true do local _ = tonumber(s) end
