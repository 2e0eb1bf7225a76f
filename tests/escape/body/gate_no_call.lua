-- expect: REFUSED
-- A primitive that is called with nothing.
error(host.gate("http", {}).error)
