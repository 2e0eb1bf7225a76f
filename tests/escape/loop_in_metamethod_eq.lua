-- expect: KILLED
-- __eq that loops.
local mt = { __eq = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return t == u
