-- expect: REFUSED
-- Only an effect may run what changes something.
return exec({ argv = { "true" }, changes = true }).code
