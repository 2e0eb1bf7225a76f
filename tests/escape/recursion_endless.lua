-- expect: KILLED
-- A function that calls itself: memory before stack.
local function f() return 1 + f() end
f()
