-- expect: KILLED
-- The plain endless loop.
while true do end
