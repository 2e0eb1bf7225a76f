-- expect: KILLED
-- A kill is not caught.
while true do try(function() while true do end end) end
