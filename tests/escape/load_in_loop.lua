-- expect: KILLED
-- Compiling for ever.
local s = ("local x = 1 "):rep(150)
while true do load(s) end
