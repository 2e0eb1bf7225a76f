-- expect: KILLED
-- Running out of memory is not caught.
local keep = {}
while true do try(function() for i = 1, math.maxinteger do keep[#keep + 1] = { i } end end) end
