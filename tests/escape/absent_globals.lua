-- expect: REFUSED
-- The name must not be there.
_G.x = 1
