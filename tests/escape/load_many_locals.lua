-- expect: OK
-- More locals, constants and upvalues than fit.
local t = {}
for i = 1, 300 do t[i] = "local v" .. i .. " = " .. i end
assert(load(table.concat(t, "\n")) == nil)
for i = 1, 3000 do t[i] = "f(" .. i .. ".5)" end
assert(load("local f = ... " .. table.concat(t, " ")))
