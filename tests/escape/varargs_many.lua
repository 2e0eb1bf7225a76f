-- expect: OK
-- Many arguments and results.
local function f(...) return select("#", ...), ... end
local t = {}
for i = 1, 200 do t[i] = i end
assert(f(table.unpack(t)) == 200)
assert(not try(function() return table.unpack(t, 1, 1 << 23) end))
