-- expect: REFUSED
-- Once set, a metatable stays.
local t = setmetatable({}, {})
setmetatable(t, { __len = function() return 1 end })
