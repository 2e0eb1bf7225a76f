-- expect: REFUSED
-- No look inside a callback of C.
return (("x"):gsub("x", look))
