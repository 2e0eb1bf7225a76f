-- expect: OK
-- Every malformed pattern is an error and nothing else.
for _, p in ipairs({ "%", "[", "[^", "[a", "[%", "[]", "(", "%1", "(%1)", "a*)", "%b", "%bx", "%f", "%f[", "(()", ("()"):rep(40) }) do
  assert(not try(string.find, "subject", p), p)
end
