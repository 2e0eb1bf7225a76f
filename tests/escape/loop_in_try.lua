-- expect: KILLED
-- A kill is not an error value: nested protected calls do not see it.
local function loop() while true do end end
while true do
  try(function() try(function() try(loop) end) end)
end
