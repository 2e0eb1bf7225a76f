-- expect: KILLED
-- A module that never returns.
while true do attempt(require, "loops") end
