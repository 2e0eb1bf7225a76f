-- expect: OK
-- CVE-2025-46819: long brackets that do not end.
assert(load("[" .. ("="):rep(60000)) == nil)
assert(load("--[" .. ("="):rep(60000) .. "[") == nil)
assert(load("return [" .. ("="):rep(20000) .. "[x]" .. ("="):rep(20000) .. "]")() == "x")
