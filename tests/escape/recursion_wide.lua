-- expect: REFUSED
-- With more locals the stack limit comes first.
local function f(a, b, c, d) local x, y = f(a, b, c, d) return x, y end
f()
