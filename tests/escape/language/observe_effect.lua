-- expect: OK
-- An effect is no read and a read no effect.
local scale = kubernetes.deployment("prod", "api"):scale(5)
assert(not attempt(observe, scale) and not attempt(observe, { x = scale }))
assert(not attempt(remedy, "t", prometheus.value("up"), { verify = "applied" }))
