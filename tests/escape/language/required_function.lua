-- expect: OK
-- Its functions may look later.
assert(require("tools").look() == 3)
