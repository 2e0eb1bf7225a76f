-- expect: KILLED
-- A callback under a C frame, inside protected calls.
while true do
  try(function() return (("x"):rep(10):gsub("x", function() while true do end end)) end)
end
