-- expect: OK
-- select with every number.
assert(select("#") == 0)
assert(not try(select, math.mininteger))
assert(not try(select, 0))
assert(select(math.maxinteger, 1) == nil)
assert(select(-1, 1, 2) == 2)
