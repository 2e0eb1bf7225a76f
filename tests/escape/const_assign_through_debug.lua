-- expect: REFUSED
-- There is no debug library to change locals with.
debug.setlocal(1, 1, 5)
