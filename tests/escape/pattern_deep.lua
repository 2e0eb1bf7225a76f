-- expect: REFUSED
-- More nested choices than the C stack is asked to hold.
return (("x"):rep(1000)):match(("x?"):rep(1000))
