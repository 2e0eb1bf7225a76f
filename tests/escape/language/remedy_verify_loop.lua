-- expect: KILLED
-- A proof that never returns.
remedy("t", kubernetes.deployment("prod", "api"):scale(5), { verify = function() while true do end end })
