-- expect: REFUSED
-- A function is no value.
look({ f = function() end })
