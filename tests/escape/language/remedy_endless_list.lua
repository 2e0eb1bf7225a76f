-- expect: REFUSED
-- A list of effects whose length is 2^40.
local scale = kubernetes.deployment("prod", "api"):scale(5)
remedy("t", setmetatable({}, { __len = function() return 300 end, __index = function() return scale end }), { verify = "applied" })
