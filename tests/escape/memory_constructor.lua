-- expect: KILLED
-- A large constructor from varargs.
local function f(...) return { ... } end
local t = {}
local keep = {}
while true do keep[#keep + 1] = { f(table.unpack(t, 1, 100000)), ("x"):rep(1000) .. #keep } end
