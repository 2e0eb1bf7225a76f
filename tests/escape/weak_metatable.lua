-- expect: OK
-- A weak table as metatable: use after free in luaV_finishset when memory runs short.
for _ = 1, 200 do
  local mt = setmetatable({}, { __mode = "v" })
  mt.__newindex = {}
  mt.__index = {}
  local t = setmetatable({}, mt)
  for i = 1, 20 do
    t[i] = ("x"):rep(100 * i)
    mt["k" .. i] = { t }
  end
end
