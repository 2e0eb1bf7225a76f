-- expect: KILLED
-- A read that never returns.
while true do end
