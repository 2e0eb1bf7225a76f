-- expect: KILLED
-- A C loop over a long text, again and again.
local s = ("x"):rep(1 << 22)
while true do local _ = utf8.len(s) end
