-- expect: REFUSED
-- Row 12: a gigabyte in one call.
return string.rep("x", 1000000000)
