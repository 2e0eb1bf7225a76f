-- expect: REFUSED
-- A body cannot end a run.
host.finish("end", { { name = "resolved", args = {} } })
