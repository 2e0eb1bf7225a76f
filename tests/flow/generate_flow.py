#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""midwatch test --generate: for every kind of branch a scenario that goes that way, which parses, passes and covers; and what it
cannot say, it names."""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stand  # noqa: E402
from stand import expect  # noqa: E402

TOY = """return plugin "toy" {
  reads = {
    n = { args = { "of" }, params = { of = "string" }, returns = "number", read = function() return 1 end },
    count = { args = { "of" }, params = { of = "string" }, returns = "integer >= 0", read = function() return 1 end },
    text = { args = { "of" }, params = { of = "string" }, returns = "string", read = function() return "" end },
    word = { args = { "of" }, params = { of = "string" }, returns = "up|down|unknown", read = function() return "up" end },
    flag = { args = { "of" }, params = { of = "string" }, returns = "boolean", read = function() return true end },
    record = { args = { "of" }, params = { of = "string" }, returns = { size = "integer", phase = "string", note = "string?" },
      read = function() return { size = 1, phase = "x" } end },
    list = { args = { "of" }, params = { of = "string" }, returns = { list = { name = "string", age = "number", ready = "boolean" } },
      read = function() return {} end },
    thing = { args = { "of" }, params = { of = "string" }, read = function() return 1 end },
  },
  effects = {
    set = { class = "ensure", target = "knob/{{name}}", args = { "name" }, options = { to = "integer" },
      state = function() return { to = 1 } end, want = function(a) return { to = a.to } end, apply = function() end },
    back = { class = "ensure", target = "knob/{{name}}", args = { "name" }, finds = { now = "string?", earlier = { list = "string" } },
      state = function() return { now = "b", earlier = { "a" } } end, apply = function() end,
      want = function(a, found) if not (found.earlier and found.earlier[1]) then refused "nothing is earlier" end return { now = found.earlier[1] } end },
    press = { class = "never_twice", target = "button/{{name}}", args = { "name" }, undo = "not needed", apply = function() end,
      check = function() return "applied" end },
  },
}
"""
CONFIG = "instances: { toy: { plugin: toy } }\nplugins: plugins\n"
BOOK = """---
runbook: t
summary: a test
uses: { toy: toy }
params:
  mode: { type: string, one_of: [fast, slow], default: fast }
  after: { type: duration, default: 5m }
may: [{ effect: toy.set, target: "knob/*", at_most: 3 }, { effect: toy.press, target: "button/*", at_most: 3 },
      { effect: toy.back, target: "knob/*", at_most: 3 }]
---
# T
```lua
CODE
```
"""
# code -> patterns of what is proposed
CODE = {
    "a number, strictly beyond and at its bound": ('if observe(toy.n("x")) > 2 then escalate "a" end no_action "b"', [r': 2\.2\b', r": 2\n"]),
    "an integer": ('if observe(toy.count("x")) >= 7 then escalate "a" end no_action "b"', [r": 7\n", r": 6\n"]),
    "between two bounds": ('local o = observe { x = toy.n("x") } if o.x > 1 and o.x < 1.5 then escalate "a" end no_action "b"',
                           [r"x: 1\.1\b", r"x: 1\n", r"x: 1\.5\n"]),
    "one number": ('local o = observe { x = toy.count("x") } if o.x == 42 then escalate "a" end no_action "b"', [r"x: 42\n"]),
    "a sum": ('local o = observe { x = toy.n("x"), y = toy.n("y") } if o.x + o.y > 100 then escalate "a" end no_action "b"', []),
    "a ratio of two": ('local o = observe { x = toy.n("x"), y = toy.n("y") } if o.x > 0 and o.y > 0 and o.x / o.y > 0.9 then\n'
                       'escalate "a" end no_action "b"', []),
    "rounding": ('local o = observe { x = toy.n("x") } if math.floor(o.x / 10) == 4 then escalate "a" end no_action "b"', []),
    "a text": ('local o = observe { x = toy.text("x") } if o.x == "Failed" then escalate "a" elseif o.x == "" then refuse "c" end\n'
               'no_action "b"', [r'x: "Failed"', r'x: ""']),
    "a part of a text": ('local o = observe { x = toy.text("x") } if text.has(o.x, "no space", "full") then escalate "a" end no_action "b"',
                         ["no space"]),
    "what a pattern captures": ('local o = observe { x = toy.text("x") } local n = text.capture(o.x, "took (%d+) ms")\n'
                                'if n and tonumber(n) > 250 then escalate "a" end no_action "b"', [r"took \d{3,} ms"]),
    "a version": ('local o = observe { x = toy.text("x") } if text.version(o.x, "<", "1.20") then escalate "a" end no_action "b"', []),
    "one of some words": ('local o = observe { x = toy.word("x") } if o.x == "down" then escalate "a" end no_action "b"', [r'x: "down"']),
    "a flag": ('local o = observe { x = toy.flag("x") } if o.x then escalate "a" end no_action "b"', [r"x: true", r"x: false"]),
    "what a plugin does not declare": ('local o = observe { x = toy.thing("x") } if o.x.a > 3 then escalate "a" elseif o.x.b == "up" then refuse "c" end no_action "b"',
                                       [r'"a":4', r'"b":"up"']),
    "a record": ('local o = observe { x = toy.record("x") } if o.x.size > 3 and o.x.phase ~= "done" then escalate "a" end no_action "b"',
                 [r'"size":4']),
    "a field that may be missing": ('local o = observe { x = toy.record("x") } if o.x.note then escalate "a" end no_action "b"', [r'"note":']),
    "a list": ('local o = observe { x = toy.list("x") } if #o.x == 0 then refuse "none" end\n'
               'if #list.where(o.x, function(p) return p.ready end) == 0 then escalate "a" end no_action "b"', [r"x: \[\]", r'"ready":true']),
    "elements of a list": ('local o = observe { x = toy.list("x") } for _, p in ipairs(o.x) do if p.age > 9 then escalate "old" end end\n'
                           'no_action "b"', [r'"age":9\.9']),
    "what is not known": ('local o = observe { x = toy.n("x") } if not known(o, "x") then escalate "gone" end no_action "b"', [r"no_data"]),
    "a default": ('local o = observe { x = toy.n("x", { absent = 0 }) } if o.x == 0 then escalate "a" end no_action "b"', [r"x: .?error"]),
    "a parameter": ('if params.mode == "slow" then escalate "a" end no_action "b"', [r"mode: .?slow"]),
    "a duration": ('if params.after > minutes(10) then escalate "a" end no_action "b"', [r'after: "\d+m']),
    "what started it": ('if trigger.kind == "alert" and not trigger.firing() then no_action "b" end escalate "a"',
                        [r"firing: false", r"kind: .?alert"]),
    "a label": ('if trigger.labels.team == "db" then escalate "a" end no_action "b"', [r'"team":"db"']),
    "somebody is asked": ('local a = ask("what now?", { "this", "that" }) if a == "this" then escalate "a" end no_action "b"',
                          [r'"say":"this"', r'"say":"that"', r"nobody"]),
    "a question with a value in it": ('local n = observe(toy.count("x")) if n < 3 then no_action "b" end\n'
                                      'if ask("all " .. n .. " of them?", { "yes", "no" }) == "no" then refuse "no" end escalate "a"',
                                      [r"all 3 of them\?"]),
    "something is done by hand": ('if not manual("cable", "plug it in", { otherwise = false }) then escalate "a" end no_action "b"',
                                  [r'"say":"done"', r'"say":"could not"']),
    "a wait": ('if wait_until("calm", { within = "10m" }, function() return observe(toy.n("x")) < 5 end) then no_action "b" end\nescalate "a"', []),
    "a wait for a change": ('local o = observe { x = toy.flag("x") } if not o.x then no_action "b" end\n'
                            'if wait_until("off", { within = "10m" }, function() return not observe(toy.flag("x")) end) then\nresolve "off" end\nescalate "a"',
                            []),
    "a remedy": ('local x = toy.n("x")\nremedy("turn it", toy.set("a", { to = 3 }), { verify = function() return observe(x) < 1 end })\nresolve "b"',
                 [r"after:\n +toy.set:", r"undo toy\.set knob/a", r"409", r"timeout", r"waiting: person", r"already_so", r'toy.set: "halted"']),
    "an approval": ('local x = toy.n("x")\nremedy("turn it", toy.set("a", { to = 3 }), { approve = { of = 2, by = { "ann", "bob" } },\n'
                    'verify = function() return observe(x) < 1 end })\nresolve "b"', [r'"by":"ann".*"by":"bob"', r"denied", r"expired"]),
    "a state that its effect looks at": ('local x = toy.n("x")\nremedy("go back", toy.back("a"), { verify = function() return observe(x) < 1 end })\nresolve "b"',
                                         [r"undo toy\.back knob/a", r'knob/a: \{"earlier":\["another"\],"now":"before"\}', r"already_so"]),
    "texts that are equal": ('local o = observe { x = toy.text("x"), y = toy.text("y") } if o.x == o.y then escalate "a" end no_action "b"', []),
    "a text among others": ('local l = observe(toy.list("x")) if #l < 2 then refuse "few" end\nlocal names = list.map(l, "name")\n'
                            'if list.contains(names, observe(toy.text("y"))) then escalate "a" end no_action "b"', []),
    "differences that depend on each other": ('local c = toy.record("x") local o = observe { c = c, n = toy.count("n") }\nif o.n > o.c.size then\n'
                                              'if wait_until("grown", { within = "5m" }, function() return observe(c).size >= o.n end) then resolve "a" end\n'
                                              'escalate "c" end no_action "b"', []),
    "counts that are judged": ('local o = observe { a = toy.count("a"), b = toy.count("b"), c = toy.count("c"), d = toy.count("d") }\n'
                               'local v = stats.judge { canary = { requests = o.a, bad = math.min(o.b, o.a) }, baseline = { requests = o.c, bad = math.min(o.d, o.c) } }\n'
                               'if v.verdict == "worse" then escalate "a" elseif v.verdict == "no worse" then refuse "c" end no_action "b"', [r": 100000"]),
    "looks that differ behind a poll": ('local x = toy.n("x")\nlocal r = remedy("turn it", toy.set("a", { to = 3 }), { within = "5m", on_failure = "continue",\n'
                                        'verify = function() return observe(x) < 1 end })\nif r.outcome == "failed" then manual("cable", "plug it in", {})\n'
                                        'if not wait_until("calm", { within = "5m" }, function() return observe(x) < 1 end) then escalate "still" end end\nresolve "b"',
                                        [r'cable: \{"by"']),
    "one read that is made twice": ('local n = toy.n("x") local o = observe { n = n, c = toy.count("y") }\nif o.n < 5 and o.c < 5 then refuse "b" end\n'
                                    'if wait_until("calm", { within = "5m" }, function() return observe(n) < 5 and observe(toy.count("y")) < 5 end) then resolve "a" end\n'
                                    'escalate "c"', [r"toy.count"]),
    "a diagnosis": ('local o = observe { x = toy.n("x"), y = toy.n("y") }\n'
                    'local a = hypothesis "it is x" { likelihood = "high", impact = "high", test = function() return o.x > 5 end }\n'
                    'local b = hypothesis "it is y" { likelihood = "low", impact = "low", test = function() return o.y > 5 end }\n'
                    'local cause = diagnose { a, b }\nif cause == a then escalate "a" elseif cause == b then refuse "b" end no_action "c"',
                    [r'cause: "it is y"', r'cause: "inconclusive"', r'cause: "none"']),
    "a function that looks in two ways": ('local o = observe { x = toy.n("x") }\nlocal function good() if o.x > 3 then return false end\n'
                                          'if o.x < 1 then return false end return true end\n'
                                          'local h = hypothesis "good" { test = good } if diagnose { h } == h then no_action "b" end escalate "a"', []),
    "paths that meet again": ('local o = observe { x = toy.n("x"), y = toy.n("y") }\nlocal kind = "low" if o.x > 5 then note "much" else note "little" end\n'
                              'if o.y > 5 then escalate "a" end\nif o.y < 1 then refuse "c" end\nno_action "b"', []),
    "each of many": ('local done = 0\nfor _, p in ipairs(observe(toy.list("x"))) do\nif p.ready then note(p.name) end end\nno_action "b"', []),
}


def generated(box, *words):
    return box.command("test", "t.md", "--generate", *words)


def kind_cases(box):
    for name, (code, patterns) in CODE.items():
        (box.path / "t.md").write_text(BOOK.replace("CODE", code))
        tests = box.path / "t.test.yaml"
        tests.unlink(missing_ok=True)
        first = generated(box)
        wrong = expect(first, 0, r"t\.md: [1-9]\d* proposed")
        wrong = wrong or next((f"no /{p}/ in:\n{first[1]}" for p in patterns if not re.search(p, first[1])), None)
        wrong = wrong or (None if " 0 not confirmed" in first[2] else first[2])
        tests.write_text(first[1])
        wrong = wrong or expect(box.command("test", "t.md", "--cover"), 0, r"covered (\d+) of \1 branches")
        again = generated(box)
        wrong = wrong or (None if again[0] == 0 and again[1] == "" and ": 0 proposed" in again[2] else "again: " + again[1] + again[2])
        yield "generate: " + name, wrong


HALF = """# What is at the top holds for all.
given: { x: 7 }
params: { mode: slow }
scenarios:
- name: much
  expect: { outcome: escalated, reason: runbook }
"""


def file_cases(box):
    tests = box.path / "t.test.yaml"
    code = 'local o = observe { x = toy.n("x"), y = toy.n("y") }\nif o.x > 5 then escalate "a" end\nif o.y > 5 or params.mode == "fast" then refuse "c" end\nno_action "b"'
    (box.path / "t.md").write_text(BOOK.replace("CODE", code))
    tests.write_text(HALF)
    got = box.command("test", "t.md")
    yield "generate: the file alone does not pass", expect(got, 2, "add under given:  y")
    tests.write_text(HALF.replace("x: 7", "x: 7, y: 1"))
    one, two = generated(box), generated(box)
    yield "generate: the same twice", None if one == two and one[0] == 0 else one[1] + two[1]
    yield "generate: only what differs from the top", None if "y: 1\n" not in one[1] and one[1].startswith("- name: ") else one[1]
    with tests.open("a") as f:
        f.write(one[1])
    yield "generate: appended", expect(box.command("test", "t.md", "--cover"), 0, r"covered (\d+) of \1", "0 failed")
    yield "generate: nothing more", None if generated(box)[1] == "" else generated(box)[1]
    tests.write_text(HALF.replace("x: 7", "x: 7, y: 1"))
    got = generated(box, "--at-most", 1)
    yield "generate: at most one", None if got[1].count("name:") == 1 and "paths were not tried" in got[2] else got[1] + got[2]
    # What reaches a branch that nothing reaches comes first.
    yield "generate: new branches first", None if re.search(r"outcome: .?no_action", got[1]) else got[1]
    got = generated(box, "--at-most", "x")
    yield "generate: no number", expect(got, 2, "--at-most is a number")
    found = json.loads(generated(box, "-o", "json")[1])[0]
    yield "generate: json", None if found["proposed"] and found["covered"] == 1 and found["ended"] == "all" else str(found)
    tests.write_text(HALF.replace("x: 7", "x: 7, y: 1").replace("escalated", "resolved"))
    yield "generate: a scenario that fails covers nothing", expect(generated(box), 0, "1 scenarios of .*t.test.yaml fail", "escalated")
    yield "generate: no junit", expect(generated(box, "-o", "junit"), 2, "text or json")


# code -> what is said of the paths that get none
NONE = {
    "who asked": ('if run.requester == "root" then escalate "a" end no_action "b"', r"no values  .*run\.requester.*\n +no value was found for run\.requester"),
    "a sum that cannot be": ('local o = observe { x = toy.count("x") } if o.x * o.x == 10 then escalate "a" end no_action "b"', r"no value was found for x \* x"),
    "what nobody can tell": ('local o = observe { x = toy.text("x") } if #string.reverse(o.x) == 3 then escalate "a" end no_action "b"', r"reverse|confirmed"),
    "two answers to one question": ('local function q() return ask("go on?", { "yes", "no" }) end\nif q() == "yes" and q() == "no" then escalate "a" end no_action "b"',
                                    r"cannot answer \"go on\?\" in two ways"),
}


def none_cases(box):
    (box.path / "t.test.yaml").unlink(missing_ok=True)
    (box.path / "t.md").write_text(BOOK.replace("CODE", 'for _, v in ipairs(observe(toy.thing("x"))) do note(v) end\nno_action "b"'))
    yield "a plugin without schema that is gone through", expect(box.command("map", "t.md"), 0, r"4 paths")
    for name, (code, pattern) in NONE.items():
        (box.path / "t.md").write_text(BOOK.replace("CODE", code))
        got = generated(box)
        yield "generate: none for " + name, expect(got, 0, pattern, "proposed")


def cases(program, scratch, only):
    box = stand.Box(program, scratch / "box", CONFIG, "")
    (box.path / "plugins").mkdir()
    (box.path / "plugins/toy.lua").write_text(TOY)
    for group in (kind_cases, file_cases, none_cases):
        if only in group.__name__:
            yield from group(box)


if __name__ == "__main__":
    stand.main(__doc__, cases)
