-- expect: KILLED
-- __len that loops.
local mt = { __len = function() while true do end end }
local t, u = setmetatable({}, mt), setmetatable({}, mt)
return #t, u
