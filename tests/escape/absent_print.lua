-- expect: REFUSED
-- The name must not be there.
return print(1)
