-- expect: REFUSED
-- Row 14: one metatable serves all strings.
getmetatable("").__index = function() return "evil" end
