-- expect: OK
-- Numbers at the edges into every primitive.
for _, f in ipairs({ http, exec, file, secret, env, matches, base64 }) do
  for _, n in ipairs({ math.mininteger, math.maxinteger, 0, -1, 2 ^ 53, 0.5 }) do
    try(f, n)
    try(f, { timeout = n, argv = { n }, url = n, path = n, max_body = n, body = n })
    try(f, "x", n)
  end
end
return 1
