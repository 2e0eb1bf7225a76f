-- expect: REFUSED (not: refuse once)
-- A branch that branches that branches.
local function f() parallel { f } end
f()
