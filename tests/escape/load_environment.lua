-- expect: REFUSED
-- Row 13: loaded text sees the sandbox, not the real globals.
return load("return os")()
