-- expect: REFUSED
-- The name must not be there.
return host.gate("apply", {})
