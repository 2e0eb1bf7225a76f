-- expect: REFUSED
-- Setting it is not possible either.
setmetatable("", {})
