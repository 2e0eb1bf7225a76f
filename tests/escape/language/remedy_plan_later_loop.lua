-- expect: KILLED
-- An effect that is planned later, and whose plan never ends.
remedy("t", { kubernetes.deployment("prod", "api"):scale(5), function() while true do end end }, { verify = "applied" })
