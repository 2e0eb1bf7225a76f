-- expect: KILLED
-- __concat that loops.
local mt = { __concat = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return t .. "x", u
