-- expect: REFUSED
-- __index that calls itself through C.
local t = setmetatable({}, { __index = function(t, k) return t[k .. "x"] end })
return t.x
