-- expect: OK
-- Building the error message of a long chain is quadratic and recursive in C.
local f = load("local a = {} return a" .. (".x"):rep(30000))
assert(f == nil)
assert(load("local a = {} return a" .. ("[a"):rep(150) .. ("]"):rep(150) .. (".x"):rep(150)) == nil)
