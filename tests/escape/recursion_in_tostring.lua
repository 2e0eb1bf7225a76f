-- expect: REFUSED
-- __tostring that calls tostring.
local t = setmetatable({}, { __tostring = function(t) return tostring(t) end })
return tostring(t)
