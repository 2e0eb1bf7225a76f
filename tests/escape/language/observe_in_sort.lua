-- expect: OK
-- After an error inside table.sort looks are possible again.
assert(not attempt(table.sort, { 2, 1 }, function() return observe(prometheus.value("up")) end))
assert(observe(prometheus.value("up")) == 3)
