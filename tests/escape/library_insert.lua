-- expect: REFUSED
-- The same with table.insert.
table.insert(string, 1)
