-- expect: REFUSED
-- Row 10: two lazy items are 5 seconds in Lua's own matcher.
return (("x"):rep(100000)):find(".-.-y")
