-- expect: REFUSED
-- The host never calls __tostring of an error value.
error(setmetatable({}, { __tostring = function() while true do end end }))
