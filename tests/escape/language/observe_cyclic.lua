-- expect: REFUSED
-- A group that contains itself.
local t = {}
t.t = t
observe(t)
