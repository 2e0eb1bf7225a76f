-- expect: REFUSED
-- An argument that is deep in itself is spelt in short and refused at the gate.
local t = { 1 }
for _ = 1, 100 do t = { t, t } end
observe(prometheus.value("up", t))
