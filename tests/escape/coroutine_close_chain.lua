-- expect: REFUSED
-- A chain of 200,000 coroutine.close calls overflows the C stack of 5.4.4.
local co = false
for _ = 1, 200000 do
  local previous = co
  co = coroutine.create(function() local x <close> = previous end)
end
