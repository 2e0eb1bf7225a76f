-- expect: OK
-- Integers at their limits pass.
for _, n in ipairs({ math.mininteger, math.maxinteger, 0, -1, 1e308, -1e-308, 2 ^ 63 }) do look(n) end
