-- expect: REFUSED
-- __close is looked up when the variable is closed.
local mt = {}
local t = setmetatable({}, mt)
mt.__close = function() while true do end end
local x <close> = t
