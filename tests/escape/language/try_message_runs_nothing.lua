-- expect: OK
-- The text of an error value runs no code.
local loop = function() while true do end end
local ok, why = try(function() error(setmetatable({}, { __tostring = loop, __index = loop, __concat = loop, __name = "x" })) end)
assert(not ok and why == "an error value of type table")
