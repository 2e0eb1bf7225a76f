-- expect: KILLED
-- Long unpacks in a row.
local t = {}
while true do try(function() return select("#", table.unpack(t, 1, 200000)) end) end
