-- expect: OK
-- Only a face makes reads: copies, proxies and look-alikes are none.
local read = prometheus.value("up")
local copy = {}
for k, v in pairs(read) do copy[k] = v end
assert(not attempt(observe, copy))
assert(not attempt(observe, setmetatable({}, { __index = read })))
assert(not attempt(observe, { read = "prometheus.value", request = { args = {} } }))
assert(not attempt(known, { p95 = 1 }, "p95"))
assert(not attempt(rawset, read, "read", "kubernetes.scale"))
