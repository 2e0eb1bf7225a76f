-- expect: ENDED
-- The same in a callback of C.
assert(not attempt(string.gsub, "x", "x", function() resolve "in a callback" end))
no_action "at last"
