-- expect: KILLED
-- __add that loops.
local mt = { __add = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return t + 1, u
