-- expect: REFUSED
-- And with two calls at once.
return host.gate("now", { { name = "a", args = {} }, { name = "b", args = {} } }).ms
