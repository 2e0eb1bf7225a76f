-- expect: KILLED
-- __call that loops.
local mt = { __call = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return t(), u
