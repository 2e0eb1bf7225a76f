-- expect: REFUSED
-- next gives no order to lean on.
local t = { a = 1, b = 2 }
return next(t, "a")
