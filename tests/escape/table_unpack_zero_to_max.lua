-- expect: REFUSED
-- The same, from zero.
return table.unpack({}, 0, math.maxinteger)
