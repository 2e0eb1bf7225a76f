-- expect: REFUSED
-- No primitive of a run.
local a = host.gate("apply", { { name = "x", args = {} } })
error(a.error)
