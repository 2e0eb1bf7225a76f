-- expect: OK
-- What Lua 5.4.4 computes wrongly (constants above 256, comparisons as index, break and <close>) stays a value, never a crash.
local t = {}
for i = 1, 300 do t[i] = "local v" .. i % 150 .. " = " .. i .. ".25" end
assert(load("do " .. table.concat(t, " end do ") .. " end local x = 7 return (x & 0xFFFFFFF0) | (x ~ 0x12345678)"))()
load("local a, b = {}, {} return a[1 < 2], b[2 > 1], a[not b]")()
attempt(load("for i = 1, 3 do local x <close> = nil if i == 2 then break end end"))
