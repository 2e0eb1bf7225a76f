-- expect: REFUSED
-- Row 5: a to-be-closed variable that loops when the thread is killed.
local x <close> = setmetatable({}, { __close = function() while true do end end })
while true do end
