-- expect: REFUSED
-- An error value that contains itself, and is deep.
local t = { kind = "x" }
for _ = 1, 200 do t = { t, t } end
t.t = t
error(t)
