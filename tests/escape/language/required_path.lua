-- expect: OK
-- Names are names, not paths, and a name with a zero byte is another name.
for _, name in ipairs({ "../tools", "./tools", "tools.lua", "tools\0", "tools\0/etc/passwd", "/etc/passwd", "", "prelude", "language" }) do
  assert(not attempt(require, name), name)
end
