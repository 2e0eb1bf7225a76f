-- expect: REFUSED
-- Row 9.
table.move({}, 1, 1 << 40, 2)
