-- expect: OK
-- Bytes that are not UTF-8 pass marked, keys do not.
assert(look("\255\0\200") ~= nil)
assert(not try(look, { ["\255"] = 1 }))
