-- expect: KILLED
-- __tostring that loops, called by tostring.
local t = setmetatable({}, { __tostring = function() while true do end end })
return tostring(t)
