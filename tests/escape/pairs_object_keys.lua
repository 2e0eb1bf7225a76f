-- expect: REFUSED
-- Keys without an order.
for _ in pairs({ [{}] = 1, [{}] = 2 }) do end
