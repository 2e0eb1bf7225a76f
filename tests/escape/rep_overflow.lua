-- expect: REFUSED
-- The product overflows.
return string.rep(("x"):rep(1 << 20), math.maxinteger, ("y"):rep(1 << 20))
