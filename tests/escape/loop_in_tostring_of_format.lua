-- expect: KILLED
-- The same under string.format, a C frame that cannot yield.
local t = setmetatable({}, { __tostring = function() while true do end end })
while true do try(function() return string.format("%s", t) end) end
