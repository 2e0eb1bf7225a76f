-- expect: KILLED
-- An error that only says so, then the loop.
try(error, "not enough memory", 0)
while true do end
