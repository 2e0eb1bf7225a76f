-- expect: REFUSED
-- The same with rawset.
rawset(string, "format", 1)
