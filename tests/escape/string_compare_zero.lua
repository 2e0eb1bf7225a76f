-- expect: OK
-- Texts with zero bytes, where the comparison goes piece by piece.
local a, b = ("a\0"):rep(5000), ("a\0"):rep(5000) .. "\0"
assert(a < b and a <= b and not (b < a) and "" < "\0" and "\0" < "\0\0" and not ("\0" < ""))
