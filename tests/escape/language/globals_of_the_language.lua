-- expect: OK
-- The verbs cannot be replaced, and no name of the host is there.
for _, name in ipairs({ "observe", "remedy", "escalate", "kubernetes", "params", "try", "list" }) do
  assert(not attempt(load(name .. " = 1")) and not attempt(rawset, _ENV, name, 1))
end
for _, name in ipairs({ "host", "prelude", "face", "ending", "checked", "exec", "file", "json", "secret", "instance", "plugin" }) do
  assert(not attempt(load("return " .. name)), name)
end
