-- expect: ENDED
-- An ending is not possible inside table.sort; after that error the run can still end.
assert(not attempt(table.sort, { 2, 1 }, function() escalate "in a comparison" end))
escalate "at last"
