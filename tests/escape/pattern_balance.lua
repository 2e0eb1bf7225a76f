-- expect: OK
-- %b over a large text is linear per start.
assert((("("):rep(2000)):find("%b()") == nil)
