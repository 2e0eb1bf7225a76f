-- expect: OK
-- Row 8: nothing, 2^40 times.
assert(string.rep("", 1 << 40) == "")
assert(string.rep("", math.maxinteger, "") == "")
