-- expect: KILLED
-- A replacement table whose __index loops.
local t = setmetatable({}, { __index = function() while true do end end })
return (("x"):gsub("x", t))
