-- expect: OK
-- Row 4: the object is alive when the state is closed.
local keep = setmetatable({}, { __gc = function() while true do end end })
return keep ~= nil
