-- expect: OK
-- Views hold nothing but what they show.
for _, lib in ipairs({ string, table, math, utf8 }) do
  for k, v in pairs(lib) do
    assert(type(k) == "string")
    assert(type(v) ~= "table")
    assert(rawget(lib, k) == v)
  end
  assert(getmetatable(lib) == false)
  assert(not try(rawset, lib, "x", 1))
end
