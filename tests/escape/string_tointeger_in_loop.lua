-- expect: KILLED
-- The same through a library function that takes a number.
local s = ("0"):rep(1 << 24)
while true do local _ = math.tointeger(s) end
