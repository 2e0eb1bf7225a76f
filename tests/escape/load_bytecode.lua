-- expect: OK
-- Row 15, CVE-2015-4335: no bytecode comes in, whatever the mode says.
assert(load("\27Lua\x54\0") == nil)
assert(not try(load, "\27Lua", "n", "b"))
assert(load("\27Lua", "n", "bt") == nil)
