-- expect: REFUSED
-- 2db966fc, CVE-2022-33099: an error where the stack is full, and one while that is told.
local function f(n) return setmetatable({}, { __index = function() return f(n + 1) .. "x" end }).x end
return f(1)
