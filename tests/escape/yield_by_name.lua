-- expect: REFUSED
-- There is no yield.
coroutine.yield(1)
