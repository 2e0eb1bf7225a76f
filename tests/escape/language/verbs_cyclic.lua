-- expect: OK
-- Tables that contain themselves, wherever a verb takes a table.
local t = {}
t[1], t[2], t.within, t.verify, t.test, t.to, t.choices = t, t, t, t, t, t, t
for _, f in ipairs({ observe, hypothesis "h", diagnose, parallel, any, all, none, stats.mean, stats.judge }) do
  assert(not attempt(f, t))
end
for _, f in ipairs({ note, follow_up, notify, sleep, measure, ask, manual, remedy, temporarily, wait_until, each, text.has, text.of }) do
  assert(not attempt(f, t) and not attempt(f, t, t, t))
  attempt(f, "t", t)
  attempt(f, "t", "t", t)
end
