-- expect: KILLED
-- A condition that never returns.
wait_until("w", { within = "1h", stop_if = function() while true do end end }, function() return false end)
