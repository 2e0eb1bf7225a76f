-- expect: OK
-- Row 3: a finalizer that loops, with garbage to trigger it.
for _ = 1, 2000 do
  setmetatable({}, { __gc = function() while true do end end })
  local _ = { {}, {}, {} }
end
