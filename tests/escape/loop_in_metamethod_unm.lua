-- expect: KILLED
-- __unm that loops.
local mt = { __unm = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return -t, u
