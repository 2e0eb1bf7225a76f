-- expect: OK
-- __gc written into the metatable afterwards.
local mt = {}
local keep = setmetatable({}, mt)
mt.__gc = function() while true do end end
keep = nil
for _ = 1, 2000 do local _ = { {} } end
return keep == nil
