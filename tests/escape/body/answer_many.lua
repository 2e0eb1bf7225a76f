-- expect: REFUSED
-- More about the value than there is.
return answer(1, setmetatable({}, { __index = function() return 1 end, __pairs = function() error("x") end }).value)
