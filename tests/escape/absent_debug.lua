-- expect: REFUSED
-- The name must not be there.
return debug.getregistry()
