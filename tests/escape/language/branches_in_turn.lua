-- expect: KILLED
-- Branches that hand the work to each other: what they compute counts for the one who waits.
local function burn() for _ = 1, 2000000 do end end
while true do parallel { burn, burn } end
