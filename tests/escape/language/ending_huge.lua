-- expect: REFUSED
-- A text of 16 MiB.
escalate(("x"):rep(1 << 24))
