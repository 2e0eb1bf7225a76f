-- expect: ENDED
-- What is undone at the end cannot begin an end of its own.
temporarily("t", kubernetes.deployment("prod", "api"):scale(5), { within = "1m" }, function()
  attempt(table.sort, { 2, 1 }, function() escalate "not possible" end)
  escalate "now"
end)
