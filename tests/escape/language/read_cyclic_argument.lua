-- expect: REFUSED
-- And one that contains itself.
local t = {}
t[1] = t
observe(prometheus.value("up", t))
