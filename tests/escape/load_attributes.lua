-- expect: OK
-- Attributes and jumps that are not allowed.
for _, s in ipairs({ "local x <const> = 1; x = 2", "local x <evil> = 1", "goto nowhere", "local a <close>, b <close> = 1, 2",
  "do goto l end local x ::l:: print(x)", "break", "local _ENV <const> = {}; _ENV = 1", "return ...;;return" }) do
  assert(load(s) == nil, s)
end
