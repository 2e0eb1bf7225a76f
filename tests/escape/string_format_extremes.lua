-- expect: OK
-- Widths and precisions at their limits.
assert(#string.format("%99.99f", 1e308) > 300)
assert(not try(string.format, "%100d", 1))
assert(not try(string.format, "%.100f", 1))
assert(not try(string.format, "%", 1))
assert(not try(string.format, "%d"))
assert(not try(string.format, "%p", {}))
assert(not try(string.format, "%n", 1))
assert(not try(string.format, ("%s"):rep(10)))
assert(string.format("%d", math.mininteger) == "-9223372036854775808")
assert(string.format("%x", -1) == "ffffffffffffffff")
assert(#string.format("%q", math.mininteger) > 0)
