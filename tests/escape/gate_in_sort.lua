-- expect: REFUSED
-- No look inside a comparison.
table.sort({ 2, 1 }, function(a, b) look(a) return a < b end)
