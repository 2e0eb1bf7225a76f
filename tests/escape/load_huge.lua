-- expect: REFUSED
-- More text than one load may have.
return load("return " .. ("1+"):rep(100000) .. "1")
