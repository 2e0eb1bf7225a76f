-- expect: KILLED
-- 16 MiB at a time, thrown away.
while true do local _ = ("x"):rep(1 << 24) end
