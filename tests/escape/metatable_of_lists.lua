-- expect: OK
-- All lists that came from answers share one metatable, which nobody holds.
assert(getmetatable(look({ 1 })) == false)
