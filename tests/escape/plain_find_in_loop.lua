-- expect: KILLED
-- A plain search whose naive form is quadratic.
local a, b = ("x"):rep(1 << 23), ("x"):rep(1 << 22) .. "y"
while true do try(string.find, a, b, 1, true) end
