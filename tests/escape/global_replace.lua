-- expect: REFUSED
-- Nor replaced.
tostring = function() return "evil" end
