-- expect: REFUSED
-- Row 10: exponential.
return (("a"):rep(40)):find(("a*"):rep(20) .. "b")
