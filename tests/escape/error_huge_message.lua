-- expect: REFUSED
-- A message of 16 MiB.
error(("x"):rep(1 << 24))
