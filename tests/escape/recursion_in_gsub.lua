-- expect: REFUSED
-- Callbacks inside callbacks.
local function f() return (("x"):gsub("x", f)) end
f()
