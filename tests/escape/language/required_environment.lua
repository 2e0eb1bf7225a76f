-- expect: OK
-- A module sees what the runbook sees, and nothing else.
local tools = require "tools"
assert(rawequal(tools.env, _ENV) and tools.load("return host") ~= nil)
assert(not attempt(tools.load("return host")))
assert(not attempt(tools.load("x = 1")))
