-- expect: KILLED
-- A read that takes all memory.
local t = {}
while true do t[#t + 1] = { #t } end
