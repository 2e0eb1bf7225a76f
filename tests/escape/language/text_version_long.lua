-- expect: OK
-- A version of a hundred thousand parts.
assert(text.version(("1."):rep(100000), "<", ("1."):rep(100000) .. "1"))
