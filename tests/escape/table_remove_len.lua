-- expect: REFUSED
-- Row 9.
table.remove(setmetatable({}, { __len = function() return 1 << 40 end }), 1)
