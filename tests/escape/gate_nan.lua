-- expect: REFUSED
-- NaN is a status, not a value.
look({ n = 0 / 0 })
