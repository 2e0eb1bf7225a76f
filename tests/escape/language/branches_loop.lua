-- expect: KILLED
-- One branch of several never returns.
parallel { function() sleep(1) end, function() while true do end end }
