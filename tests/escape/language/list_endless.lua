-- expect: KILLED
-- A list without an end, in the helpers.
list.where(setmetatable({}, { __index = function(_, i) return i end }), function() return false end)
