-- expect: REFUSED
-- Programs that are none.
for _, argv in ipairs({ {}, { "" }, { "a\0b" }, { 1 }, { argv = { "x" } } }) do assert(not try(exec, { argv = argv })) end
assert(not try(exec, { argv = { "x" }, env = { ["a=b"] = "c" } }))
error("all were refused")
