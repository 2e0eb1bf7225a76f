-- expect: REFUSED
-- From the smallest integer on.
return table.concat({}, "", math.mininteger, 1)
