-- expect: REFUSED
-- Branches again and again: no clock sees a loop that only forks.
while true do parallel { function() end } end
