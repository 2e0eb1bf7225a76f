-- expect: REFUSED
-- Nor set behind the back of the environment.
rawset(_ENV, "evil", 1)
