-- expect: REFUSED
-- The name must not be there.
return xpcall(error, error)
