-- expect: OK
-- Nothing shows an address.
for _, v in ipairs({ {}, assert, string, try, setmetatable({}, { __name = "x" }) }) do
  assert(not tostring(v):find("0x"), tostring(v))
  assert(not string.format("%s", v):find("0x"))
end
