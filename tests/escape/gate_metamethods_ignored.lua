-- expect: OK
-- Encoding runs no code of the script.
local boom = function() error("was called") end
look(setmetatable({ a = 1 }, { __index = boom, __len = boom, __pairs = boom, __tostring = boom }))
look(setmetatable({ 1, 2 }, { __index = boom, __len = boom }))
