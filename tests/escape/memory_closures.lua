-- expect: KILLED
-- Closures and upvalues.
local t = {}
while true do
  local x = #t
  t[x + 1] = function() return x, t end
end
