-- expect: REFUSED
-- The environment keeps its own.
setmetatable(_ENV, { __index = function() return 1 end })
