-- expect: OK
-- What the run was given cannot be changed, through no door.
for _, v in ipairs({ params, run, trigger, trigger.labels, list, stats, text, string, NONE, kubernetes, prometheus }) do
  assert(getmetatable(v) == false)
  assert(not attempt(setmetatable, v, {}))
  assert(not attempt(function() v.x = 1 end) and not attempt(table.insert, v, 1))
  attempt(table.sort, v, function() return true end)
  assert(not attempt(table.move, { 1 }, 1, 1, 1, v) and not attempt(table.remove, v))
end
for _, v in ipairs({ params, run, trigger, trigger.labels, list, stats, text, string }) do assert(not attempt(rawset, v, "x", 1)) end
