-- expect: REFUSED
-- A function is no answer.
return function() end
