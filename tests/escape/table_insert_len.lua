-- expect: REFUSED
-- Row 9: __len says 2^40.
table.insert(setmetatable({}, { __len = function() return 1 << 40 end }), 1, 1)
