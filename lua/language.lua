-- SPDX-License-Identifier: Apache-2.0
-- What a runbook sees: the verbs, the helpers, its parameters and the faces of what it uses. The
-- setup comes from the run's START row, so a replay sees the same.

local setup = ...
local prelude = host.module("prelude")
local face = host.module("face")

local globals = {
  try = prelude.try, any = prelude.any, all = prelude.all, none = prelude.none,
  observe = host.module("observe").observe, known = host.module("observe").known,
  now = function() return host.now() / 1000 end,
}

-- Modules that many runs never need are loaded at the first use of one of their names.
local later = {
  list = { "list" }, stats = { "stats" }, text = { "text" }, remedy = { "remedy" }, temporarily = { "temporarily" },
  record = { "note", "follow_up", "measure", "notify" }, branches = { "parallel", "each" }, people = { "ask", "manual" },
  wait = { "wait_until", "sleep" }, diagnose = { "hypothesis", "diagnose", "NONE" },
  ending = { "resolve", "no_action", "refuse", "escalate" },
  units = { "ms", "seconds", "minutes", "hours", "days", "percent", "kib", "mib", "gib" },
}
for module, names in host.rawpairs(later) do
  local marker = host.later(module)
  for i = 1, #names do globals[names[i]] = marker end
end

-- The stable sort takes the place of the library's; the sandbox sees this table through a read-only view.
host.rawset(table, "sort", prelude.sort)

globals.params = host.readonly(setup.params, "params", setup.param_names)
globals.run = host.readonly(setup.run, "run")
local trigger = { kind = setup.trigger.kind, labels = host.readonly(setup.trigger.labels or {}, "trigger.labels") }
function trigger.firing()
  local answers = host.gate("read", { { name = "trigger.firing", args = { args = {}, text = "trigger.firing()" } } })
  local o = answers[1].o
  if o.unknown then prelude.inconclusive("trigger.firing()", o.unknown, o.why) end
  return o.value
end
globals.trigger = host.readonly(trigger, "trigger")

for _, use in ipairs(setup.uses) do
  globals[use.alias] = face.make(use, use.declared)
end

return globals
