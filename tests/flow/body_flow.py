#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plugin whose `state` or `check` raises, does not end, or answers nonsense: before the change nothing is sent; after it
the effect is unknown, and is read back until it is known or a person is asked. In virtual time.

Prints `ok - name` or `not ok - name: why`."""
import sqlite3

import stand
from kubernetes_flow import Cases, Cluster

PLUGIN = """
local value, looks = 1, 0
local odd = {
  raises = function() error("out of cheese") end,
  ["raises a table"] = function() error({ kind = "sent", why = { 1 } }) end,
  ["does not end"] = function() while true do end end,
  ["eats memory"] = function() local t = {} for i = 1, 1 << 40 do t[i] = { i } end end,
  ["is nothing"] = function() return nil end,
  ["is a word"] = function() return "applied, surely" end,
  ["is a number"] = function() return 7 end,
  ["is a list"] = function() return json.array({ 1, 2 }) end,
  ["is a function"] = function() return print end,
  ["is not a number"] = function() return { value = 0 / 0 } end,
  ["is of another type"] = function() return { value = "5" } end,
  ["lacks its field"] = function() return { other = 5 } end,
  ["is without end"] = function() local t = {} t.value = t return t end,
  ["is large"] = function() return { value = string.rep("x", 1 << 22) } end,
}
local function state(a)
  looks = looks + 1
  local when = instance.settings.when
  if when == "late" and a.value == 7 then
    local now = value
    pause(5)
    return { value = now }
  end
  if when == "before" or (value ~= 1 and (when == "after" or (when == "once" and looks == 3))) then
    return odd[instance.settings.odd]()
  end
  return { value = value }
end
return plugin "odd" {
  settings = { odd = "string", when = "string" },
  effects = {
    set = { args = { "value" }, params = { value = "integer" }, class = "ensure", target = "it", state = state,
      want = function(a) return { value = a.value } end, apply = function(a) value = a.value end },
    fire = { args = { "value" }, params = { value = "integer" }, class = "never_twice", target = "it", irreversible = true,
      want = function(a) return { value = a.value } end, apply = function() error("the line was cut") end,
      check = function() return odd[instance.settings.odd]() end },
  },
}
"""
CONFIG = "plugins: plugins\ninstances: {{ odd: {{ plugin: odd, odd: {odd}, when: {when} }} }}\n"
BOOK = """---
runbook: case
summary: a case
uses: [odd]
may:
  - {{ effect: odd.{verb}, target: it }}
---
# Case
```lua
{code}
resolve "done"
```
"""
ONE = 'remedy("it", odd.VERB(5), { verify = "applied" })'
# The second branch looks before the first one has begun, and hears of it after that.
SIDE_BY_SIDE = """local function set(n, opts) remedy("it", odd.set(n), opts) end
parallel {
  function() set(5, { when = function() sleep "6s" return true end, verify = function() return false end, within = "30s" }) end,
  function() set(7, { when = function() return true end, verify = "applied" }) end,
}"""
KILLED = ("does not end", "eats memory")
SAYS_NOTHING = ("raises", "raises a table", "is nothing", "is a word", "is a number", "is a list", "is a function",
                "is not a number", "is without end", "is large")
LIES = ("is of another type", "lacks its field")        # a record it is; behind the change no rule says that it is wrong
UNREAD, PARKED = {"outcome": "escalated", "reason": "no_data"}, {"state": "waiting: person", "unknown": 1}
ABSENT, MOVED = {"outcome": "escalated", "reason": "error"}, {"outcome": "escalated", "reason": "moved"}
# odd, when: verb, what comes of it, whether something was sent, and is locked
CASES = {(odd, "before"): ("set", UNREAD, 0, 0) for odd in SAYS_NOTHING + KILLED}
CASES |= {(odd, "after"): ("set", PARKED, 1, 1) for odd in SAYS_NOTHING}
CASES |= {(odd, "once"): ("set", {"outcome": "resolved", "reason": "verified"}, 1, 0) for odd in SAYS_NOTHING}
# It is loaded again, and with its state the number that it kept there is as before: absent, whenever it is looked at.
CASES[("does not end", "after")] = ("set", ABSENT, 1, 0)
# What is not there may come with the change; what is there as a word never becomes a number.
CASES |= {("lacks its field", "before"): ("set", ABSENT, 1, 0), ("is of another type", "before"): ("set", UNREAD, 0, 0)}
CASES |= {(odd, "after"): ("set", MOVED, 1, 1) for odd in LIES}
CASES |= {(odd, "of a check"): ("fire", PARKED, 1, 1) for odd in SAYS_NOTHING + LIES}


class Bodies(Cases):
    def once(self, odd, when, verb, expected, sent, locked, code=ONE):
        """What is wrong with one run, or None."""
        self.number += 1
        (self.scratch / "midwatch.yaml").write_text(CONFIG.format(odd=odd, when=when))
        self.flow.runbook = self.scratch / "case.md"
        self.flow.runbook.write_text(BOOK.format(verb=verb, code=code.replace("VERB", verb)))
        state = self.scratch / f"case{self.number}"
        result, _, _ = self.flow.once(Cluster(self.flow.fresh), state, None, 0)
        with sqlite3.connect(f"file:{state}/journal.db?mode=ro", uri=True) as db:
            effects, locks = db.execute("select (select count(*) from effect), (select count(*) from lock where run = 1)").fetchone()
        if {**result, **expected} != result or (effects, locks) != (sent, locked):
            return f"{effects} effects, {locks} locks: {result}"
        return self.flow.replay(state)


def every(cases):
    (cases.scratch / "plugins").mkdir()
    (cases.scratch / "plugins/odd.lua").write_text(PLUGIN)
    for (odd, when), case in CASES.items():
        cases.say(f"an answer about the state that {odd}, {when}", cases.once(odd, when, *case))
    cases.say("an answer about the state that comes when another branch has begun",
              cases.once("raises", "late", "set", {"outcome": "escalated", "reason": "target_busy"}, 1, 1, SIDE_BY_SIDE))


if __name__ == "__main__":
    stand.play(__doc__, Bodies, every)
