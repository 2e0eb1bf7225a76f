-- expect: REFUSED
-- Nor any other metamethod: __len, __eq, __concat, __pairs, __call, __lt.
local loop = function() while true do end end
error(setmetatable({ kind = "x", message = setmetatable({}, { __tostring = loop }) }, { __len = loop, __eq = loop, __concat = loop, __pairs = loop, __call = loop, __lt = loop, __index = loop, __newindex = loop }))
