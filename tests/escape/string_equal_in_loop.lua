-- expect: KILLED
-- Two equal long texts that are not the same object.
local a, b = ("x"):rep(1 << 24), ("x"):rep(1 << 24)
while true do local _ = a == b end
