-- expect: OK
-- More than a hundred at once are refused; so is an endless list.
local fs = {}
for i = 1, 101 do fs[i] = function() end end
assert(not attempt(parallel, fs))
assert(not attempt(each, fs, { at_once = 101 }, function() end))
assert(not attempt(each, { 1 }, { at_once = math.maxinteger + 1 }, function() end))
