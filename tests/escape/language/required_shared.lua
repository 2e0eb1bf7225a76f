-- expect: OK
-- A module is one table in every branch; what a branch puts there the others see, and nothing outside of the run does.
each({ 1, 2, 3 }, { at_once = 3 }, function(i) require("tools").loads = i end)
assert(require("tools").loads == 3)
