-- expect: OK
-- A wait ends with its time, whatever it waits for.
assert(wait_until("w", { within = "1h", every = "1m" }, function() return false end) == false)
assert(not attempt(wait_until, "w", { within = 1 / 0 }, function() return false end))
assert(not attempt(sleep, 0 / 0) and not attempt(sleep, -1) and not attempt(sleep, math.maxinteger))
