-- expect: OK
-- In a plain metamethod it is possible.
local t = setmetatable({}, { __index = function(_, k) return look(k) and k end, __tostring = function() look(1) return "t" end })
assert(t.x == "x" and tostring(t) == "t")
