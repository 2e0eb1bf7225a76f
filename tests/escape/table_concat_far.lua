-- expect: REFUSED
-- A range of 2^40.
return table.concat({}, "", 1, 1 << 40)
