-- expect: OK
-- Concatenations and constructors at the edges of a frame.
assert(#load("return " .. ("\"a\" .. "):rep(150) .. "\"a\"")() == 151)
assert(load("return " .. ("\"a\" .. "):rep(300) .. "\"a\"") == nil)
assert(#load("return {" .. ("1, "):rep(20000) .. "}")() == 20000)
assert(select("#", load("return " .. ("nil, "):rep(240) .. "nil")()) == 241)
