-- expect: REFUSED
-- No look inside __index under ipairs.
for _ in ipairs(setmetatable({}, { __index = function(_, i) look(i) return i < 3 and i or nil end })) do end
