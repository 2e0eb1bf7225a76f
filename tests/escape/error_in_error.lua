-- expect: REFUSED
-- An error while an error value is made.
error(setmetatable({}, { __tostring = function() error("again") end }))
