-- expect: REFUSED
-- Protected calls inside protected calls: the limit of C frames is not caught by any of them.
local n = 0
local function f()
  n = n + 1
  try(f)
end
f()
return n
