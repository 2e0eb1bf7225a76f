-- expect: REFUSED
-- The name must not be there.
return dofile("/etc/passwd")
