-- expect: KILLED
-- Comparing long strings.
local a = ("x"):rep(1 << 22) .. "a"
local b = ("x"):rep(1 << 22) .. "b"
local n = 0
while true do if a < b then n = n + 1 end end
