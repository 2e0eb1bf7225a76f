-- expect: ENDED
-- In a metamethod of plain Lua it ends the run.
local t = setmetatable({}, { __index = function() escalate "from __index" end })
return t.x
