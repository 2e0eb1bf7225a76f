-- expect: REFUSED
-- What was declared cannot be changed behind the host: it was read once.
it.reads.go.returns = "integer"
it.effects.boom = {}
host.rawset(_ENV, "http", nil)
return "text" + 1
