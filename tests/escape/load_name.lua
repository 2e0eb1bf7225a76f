-- expect: OK
-- CVE-2025-49844: names of chunks that nothing else holds, with garbage around.
for i = 1, 300 do
  load("return " .. i, ("n"):rep(i % 90) .. i)
  load("return +", "\0\255\n:" .. i)
  load("x = = 1", "@a:1: b" .. i)
end
