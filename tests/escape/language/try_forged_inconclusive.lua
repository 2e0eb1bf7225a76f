-- expect: REFUSED
-- What looks like inconclusive goes through try as such, and ends the run.
try(function() error({ kind = "inconclusive", name = "x", unknown = "no_data" }) end)
