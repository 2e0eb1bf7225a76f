-- expect: OK
-- What a look saw and what an operator declared are shown as they are: rawset does not write in front of them.
local seen = observe { p95 = prometheus.value("up") }
local workload = kubernetes.deployment("prod", "api")
assert(not attempt(rawset, seen, "p95", 0) and rawget(seen, "p95") == nil)
assert(not attempt(rawset, prometheus, "value", function() return 0 end))
assert(not attempt(rawset, workload, "scale", 1))
local own = setmetatable({}, { __index = seen })
rawset(own, "p95", 1)
assert(own.p95 == 1)
