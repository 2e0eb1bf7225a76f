-- expect: KILLED
-- A sum reads a text of 16 MiB of digits: one instruction, no allocation, and no function that could count it.
local s = ("1"):rep(1 << 24)
while true do local _ = s + 0 end
