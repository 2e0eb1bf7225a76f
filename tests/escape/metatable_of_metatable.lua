-- expect: OK
-- The private copy cannot be reached through any base function.
local mt = { __index = function() return nil end }
local t = setmetatable({}, mt)
assert(getmetatable(t) == false)
for k in pairs(mt) do assert(type(k) == "string") end
assert(next(mt) == "__index" and rawlen(mt) == 0)
