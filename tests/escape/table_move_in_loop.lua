-- expect: KILLED
-- The longest moves allowed, in a row: the clock is looked at between them.
while true do table.move({}, 1, 1 << 20, 2) end
