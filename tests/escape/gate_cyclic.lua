-- expect: REFUSED
-- A table that contains itself.
local t = {}
t.t = t
look(t)
