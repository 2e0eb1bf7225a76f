-- expect: REFUSED
-- The same through gsub.
return (("x"):rep(100000)):gsub("x*x*x*y", "")
