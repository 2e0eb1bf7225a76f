-- expect: KILLED
-- Each call ends by its budget; together they end by the clock.
while true do try(function() return (("a"):rep(40)):find(("a*"):rep(20) .. "b") end) end
