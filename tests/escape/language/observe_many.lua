-- expect: REFUSED
-- More reads than one group may have.
local t = {}
for i = 1, 300 do t["r" .. i] = prometheus.value("up") end
observe(t)
