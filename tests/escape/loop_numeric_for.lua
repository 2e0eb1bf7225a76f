-- expect: KILLED
-- A counted loop that will not end.
for _ = 1, math.maxinteger do end
