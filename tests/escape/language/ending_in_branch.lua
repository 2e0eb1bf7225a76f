-- expect: ENDED
-- The first branch that ends the run ends it; the others do not go on.
parallel { function() sleep(5) escalate "second" end, function() escalate "first" end, function() sleep(100) error("went on") end }
