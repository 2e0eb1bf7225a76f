-- expect: REFUSED
-- No look inside __tostring under string.format.
return string.format("%s", setmetatable({}, { __tostring = function() look(1) return "x" end }))
