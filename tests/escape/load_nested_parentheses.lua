-- expect: OK
-- The depth of the compiler.
assert(load(("("):rep(10000) .. "1" .. (")"):rep(10000)) == nil)
assert(load("return " .. ("{"):rep(10000)) == nil)
assert(load(("if x then "):rep(5000)) == nil)
