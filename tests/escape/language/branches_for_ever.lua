-- expect: REFUSED (not: refuse once)
-- Branches again and again: no clock sees a loop that only forks.
while true do parallel { function() end } end
