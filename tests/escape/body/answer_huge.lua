-- expect: REFUSED
-- More than a megabyte.
return ("x"):rep(1 << 22)
