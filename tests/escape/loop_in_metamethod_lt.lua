-- expect: KILLED
-- __lt that loops.
local mt = { __lt = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return t < u
