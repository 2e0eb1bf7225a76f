-- expect: REFUSED
-- Nor __index.
error(setmetatable({}, { __index = function() while true do end end }))
