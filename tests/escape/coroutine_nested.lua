-- expect: REFUSED
-- Row 2: coroutines have counters of their own; there are none.
local function nest(n)
  if n == 0 then while true do end end
  return coroutine.wrap(function() nest(n - 1) end)()
end
nest(4)
