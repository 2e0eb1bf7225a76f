-- expect: REFUSED
-- An answer that contains itself.
local t = {}
t.t = t
return t
