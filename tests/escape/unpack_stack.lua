-- expect: REFUSED
-- CVE-2021-32626: more values than a stack holds.
return string.byte(("x"):rep(1 << 24), 1, -1)
