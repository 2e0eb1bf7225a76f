-- expect: OK
-- After a caught error inside callbacks, frames and upvalues are sound.
local n = 0
for _ = 1, 200 do
  try(function()
    local x = 0
    return (("abc"):gsub(".", function(c) x = x + 1 n = n + 1 if c == "c" then error("out") end end))
  end)
end
assert(n == 600)
