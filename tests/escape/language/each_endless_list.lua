-- expect: KILLED
-- A list that says it has 2^40 entries.
each(setmetatable({}, { __len = function() return 1 << 40 end, __index = function(_, i) return i end }), function() end)
