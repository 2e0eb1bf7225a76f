-- expect: OK
-- A text of 4 MiB, wherever a verb takes one.
local s = ("x"):rep(1 << 22)
for _, f in ipairs({ note, follow_up, sleep, hypothesis, resolve, no_action, refuse, escalate }) do assert(not attempt(f, s)) end
for _, f in ipairs({ notify, measure, ask, manual, wait_until, remedy }) do
  assert(not attempt(f, s, s) and not attempt(f, s, { s, s }, { within = s }))
end
