-- expect: REFUSED
-- The matcher of text.capture is the one with a budget.
text.capture(("a"):rep(40), ("a*"):rep(20) .. "b")
