-- expect: REFUSED
-- Sharing that doubles at every level.
local t = { 1 }
for _ = 1, 60 do t = { t, t } end
look(t)
