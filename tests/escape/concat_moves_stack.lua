-- expect: REFUSED
-- A __concat under which the stack grows leaves Lua 5.4.4 of Debian with a pointer into the old one.
local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end
local t = setmetatable({}, { __concat = function() deep(3000) return "x" end })
for _ = 1, 10 do local _ = "a" .. t .. "b" .. "c" end
