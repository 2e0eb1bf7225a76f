-- expect: REFUSED
-- Globals cannot be assigned.
evil = 1
