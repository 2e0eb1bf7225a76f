-- expect: REFUSED
-- The name must not be there.
return io.open("/etc/passwd")
