-- expect: OK
-- Jumps across scopes with captured locals.
local fs = {}
for i = 1, 50 do
  local x = i
  if i % 2 == 0 then goto continue end
  fs[#fs + 1] = function() x = x + 1 return x end
  ::continue::
end
for i, f in ipairs(fs) do assert(f() == 2 * i) end
