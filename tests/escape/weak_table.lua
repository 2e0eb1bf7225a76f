-- expect: OK
-- __mode is dropped: what is in the table stays.
local t = setmetatable({}, { __mode = "kv" })
for i = 1, 100 do t[i] = {} end
for _ = 1, 5000 do local _ = { {}, {} } end
for i = 1, 100 do assert(t[i], "an entry was collected") end
