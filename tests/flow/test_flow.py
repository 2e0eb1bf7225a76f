#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""midwatch test: which branches scenarios reach, the forms of the results, and every fault at every question."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stand  # noqa: E402
from stand import expect  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOK = """---
runbook: t
summary: a test
uses: { prometheus: metrics }
---
# T
```lua
local o = observe { n = prometheus.value("n"), m = prometheus.value("m") }
CODE
```
"""
# code -> what no scenario reaches; scenarios are n = 1 and n = 2
COVER = {
    "both arms": ('if o.n > 1 then no_action "a" else no_action "b" end', 2, None),
    "an else that is not written": ('if o.n > 0 then no_action "a" end resolve "b"', 2, r"t\.md:9: it is never false: o\.n > 0"),
    "one that is never true": ('if o.n > 5 then no_action "a" end no_action "b"', 2, r"t\.md:9: it is never true: o\.n > 5"),
    "elseif": ('if o.n > 5 then note "x" elseif o.n > 1 then note "y"\nelse note "z" end no_action "b"', 3, r"t\.md:9: it is never true: o\.n > 5"),
    "nothing in it": ('if o.n > 5 then end no_action "b"', 1, None),
    "a loop": ('for i = 1, o.n - 1 do note "x" end while o.n > 7 do note "y" end no_action "b"', 2, r"t\.md:9: this loop never has a turn"),
    "repeat and break": ('repeat if o.n > 1 then break end until true no_action "b"', 3, None),
    "a function": ('local function f() return 1 end local function g() return 2 end if o.n > f() then note "x" end no_action "b"', 4,
                   r"t\.md:9: this function is never called"),
    "what begins with a parenthesis": ('if o.n > 1 then (function() note "x" end)() end no_action "b"', 3, None),
    "goto": ('if o.n > 1 then goto out end note "x" ::out:: no_action "b"', 2, None),
    "a hypothesis": ('local h = hypothesis "big" { likelihood = "high", impact = "high", test = function() return o.n > 9 end }\n'
                     'diagnose { h } no_action "b"', 3, r't\.md:9: no scenario supports "big"'),
    "in one line with a name of ours": ('local __hit = 3 if o.n > 1 then __hit = 4 end note(tostring(__hit)) no_action "b"', 2, None),
}
FAULTS = {
    "code that is ready for it": ('if not known(o, "m") then escalate "no m" end if o.m > 1 then no_action "a" end no_action "b"', None),
    "code that breaks where data is missing": ('local m = known(o, "m") and { v = o.m } or nil\nif m.v > 1 then no_action "a" end no_action "b"',
                                               r"no_data at question 1, m:\n.*t\.md:10:.*\n.*error at question 1, m:"),
    "code that forgets to end": ('if known(o, "m") then no_action "a" end', r"stale at question 1, m:\n.*ended without"),
}

# of people and waits: what is said of people, code -> which faults must be found, or None
PEOPLE_FAULTS = {
    "a question": ('{ "go on?": { say: go, by: ann } }', 'if ask("go on?", { "go", "stop" }) == "stop" then refuse "no" end no_action "b"',
                   4, None),
    "code that expects the answer it wants": ('{ "go on?": { say: go, by: ann } }',
                                              'local way = { go = { n = 1 } }\nif way[ask("go on?", { "go", "stop" })].n > 0 then no_action "a" end no_action "b"',
                                              4, r"refused at question \d, go on\?:\n.*t\.md:10: .*index a nil value"),
    "code that takes silence for a number": ('{ "go on?": { say: "1", by: ann } }',
                                             'local n = ask("go on?", { "1", "2" }, { otherwise = "nobody" })\nif tonumber(n) + 1 > 1 then no_action "a" end no_action "b"',
                                             4, r"timeout at question \d, go on\?:\n.*t\.md:10: .*arithmetic on a nil"),
    "something done by hand": ('{ cable: { say: done, by: ann } }', 'if manual("cable", "plug it in") then no_action "b" end', 4, None),
    "code that forgets who could not": ('{ cable: { say: done, by: ann } }', 'if manual("cable", "plug it in", { otherwise = false }) then no_action "b" end',
                                        4, r"refused at question \d, cable:\n.*ended without"),
    "a wait": ("{}", 'if wait_until("calm", { within = "10m" }, function() return observe(prometheus.value("n")) < 0 end) then no_action "a" end\nno_action "b"',
               2, None),
    "code that forgets a wait in the dark": ("{}", 'local o = observe { n = prometheus.value("n") } local calm\n'
                                             'wait_until("calm", { within = "10m" }, function() calm = { n = observe(prometheus.value("k", { absent = 7 })) } return calm.n < 5 end)\n'
                                             'if calm.n == 7 then error("dark") end no_action "b"', 2, r"no_data at question \d, wait: calm:\n.*dark"),
}
ALONE = """given: { n: 3, m: 3, k: 1, 'prometheus.value("n")': 3, 'prometheus.value("k", {absent = 7})': 1, 'prometheus.value("k")': 1 }
people: %s
scenarios: [{ name: one, expect: { outcome: no_action } }]
"""
WAITING = ('local o = observe { n = prometheus.value("n"), m = prometheus.value("m") }\n', "")


def people_fault_cases(box):
    for name, (people, code, more, found) in PEOPLE_FAULTS.items():
        write(box, code, ALONE % people)
        text = (box.path / "t.md").read_text().replace(*WAITING)
        (box.path / "t.md").write_text(text.replace("```lua\n", "```lua\n\n"))
        got = box.command("test", "t.md", "--faults")
        counted = re.search(r"one: (\d+) faults", got[1])
        wrong = expect(got, 2 if found else 0, *([found] if found else []))
        yield "faults of people: " + name, wrong or (None if counted and int(counted.group(1)) >= more else got[1])


def scenarios(names=("one", "two"), expected="no_action"):
    return "given: { m: 3 }\nscenarios:\n" + "".join(
        f"  - name: {json.dumps(name)}\n    given: {{ n: {i + 1} }}\n    expect: {{ outcome: {expected} }}\n" for i, name in enumerate(names))


def write(box, code, text):
    (box.path / "t.md").write_text(BOOK.replace("CODE", code))
    (box.path / "t.test.yaml").write_text(text)


def cover_cases(box):
    for name, (code, total, missed) in COVER.items():
        write(box, code, scenarios() if name != "an else that is not written" else scenarios())
        got = box.command("test", "t.md", "--cover")
        found = f"covered {total - (missed is not None)} of {total} branches"
        wrong = expect(got, 2 if missed else 0, found, *([missed] if missed else []))
        same = [[x["chain"] for x in json.loads(box.command("test", "t.md", "-o", "json", *more)[1])[:2]] for more in ((), ("--cover",))]
        yield "cover: " + name, wrong or (None if same[0] == same[1] else "counting changes the run")
    (box.path / "books").mkdir()
    for path in sorted((ROOT / "runbooks").glob("*.test.yaml")):
        book = path.with_name(path.name.replace(".test.yaml", ".md"))
        got = box.command("test", book, "--cover", "--config", ROOT / "runbooks" / "midwatch.example.yaml")
        yield f"cover: {book.name}", expect(got, 0, r"covered (\d+) of \1 branches")


def form_cases(box):
    hostile = ("one # TODO <&\"]]>", "two \x1b[31m\\ | ok 3")
    write(box, 'if o.n > 1 then escalate "x" end no_action "b"', scenarios(hostile))
    code, out, _ = box.command("test", "t.md", "-o", "junit")
    suite = xml.etree.ElementTree.fromstring(out)[0]
    yield "junit", None if (code, suite.get("tests"), suite.get("failures")) == (2, "2", "1") else out
    cases = suite.findall("testcase")
    yield "junit: names", None if cases[0].get("name") == hostile[0] and "\\x1b" in cases[1].get("name") else out
    yield "junit: why", None if "expected \"no_action\", got escalated" in cases[1].find("failure").get("message") else out
    code, out, _ = box.command("test", "t.md", "-o", "tap", "--cover")
    lines = out.splitlines()
    yield "tap", None if code == 2 and lines[:2] == ["TAP version 13", "1..3"] else out
    yield "tap: names", None if lines[2].startswith("ok 1 - t.md: one \\# TODO") and lines[3].startswith("not ok 2 - ") else out
    yield "tap: why", None if lines[4] == "  ---" and "expected \"no_action\"" in lines[6] and "  ..." in lines else out
    yield "tap: coverage is one of them", None if "ok 3 - t.md: covered 2 of 2 branches" in out else out
    yield "a form that there is not", expect(box.command("test", "t.md", "-o", "xml"), 2, "text|json|junit|tap")
    yield "no runbook", expect(box.command("test"), 2, "which RUNBOOK")


def fault_cases(box):
    for name, (code, found) in FAULTS.items():
        write(box, code, scenarios())
        got = box.command("test", "t.md", "--faults")
        yield "faults: " + name, expect(got, 2 if found else 0, r"one: 10 faults", *([found] if found else []))
    got = box.command("test", ROOT / "runbooks" / "high-latency.md", "--faults", "--config", ROOT / "runbooks" / "midwatch.example.yaml")
    yield "faults: high-latency", expect(got, 0, r"ok    scaling out does not help and is undone: \d\d+ faults", "30 passed, 0 failed")


def cases(program, scratch, only):
    box = stand.Box(program, scratch / "box", "instances: { metrics: { plugin: prometheus, url: 'http://127.0.0.1:9' } }\n", "")
    for group in (cover_cases, form_cases, fault_cases, people_fault_cases):
        if only in group.__name__:
            yield from group(box)


if __name__ == "__main__":
    stand.main(__doc__, cases)
