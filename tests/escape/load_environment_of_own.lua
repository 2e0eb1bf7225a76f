-- expect: OK
-- With an environment of its own it sees only that.
local env = {}
load("x = 1", "n", "t", env)()
assert(env.x == 1)
assert(not try(load("return tostring(1)", "n", "t", env)))
