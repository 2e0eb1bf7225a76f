-- expect: REFUSED
-- A pattern of 1 MiB.
return ("x"):find(("[a]"):rep(400000))
