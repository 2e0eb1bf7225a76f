#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a scenario may say: answers that its reads could give, effects that there are, a trigger. And the same promise of
plugins at the gate: what a read answers is what it declares."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stand  # noqa: E402
from stand import expect  # noqa: E402

CONFIG = """instances: { prod-eu: { plugin: kubernetes, kubeconfig: none }, toy: { plugin: toy } }
plugins: plugins
"""
BOOK = """---
runbook: t
summary: a test
uses: { kubernetes: prod-eu }
params:
  service: { type: string, from: labels.service, match: "[a-z-]+" }
may: [{ effect: kubernetes.scale, target: "deployment/prod/{{service}}" }]
---
# T
```lua
local api = kubernetes.deployment("prod", params.service)
local o = observe { pods = api:pods(), replicas = api:replicas() }
if #o.pods > 0 and o.pods[1].phase == "Failed" then escalate "failed" end
if trigger.kind == "alert" and not trigger.firing() then no_action "it is over" end
remedy("scale", api:scale(o.replicas + 1), { verify = "applied" })
resolve(trigger.kind .. " " .. params.service)
```
"""
FILE = """params: {{ service: api }}
given: {{ pods: {pods}, replicas: {replicas} }}
state: {{ deployment/prod/api: {state} }}
{more}
scenarios:
  - name: one
    {own}
    expect: {{ outcome: {outcome} }}
"""
GOOD = {"pods": "[{ name: a, phase: Running, ready: true }]", "replicas": "3", "state": "{ replicas: 3 }", "more": "", "own": "cancel: 1h",
        "outcome": "resolved"}
# what is changed -> a part of what is said; None: it passes
SAID = {
    "all is well": ({}, None),
    "a field that there is not": ({"pods": "[{ name: a, phse: Running }]"}, r"t\.test\.yaml:2:28: pods\[1\]\.phse .*did you mean 'phase'"),
    "a wrong type": ({"pods": "[{ name: a, ready: 1 }]"}, r":2:28: pods\[1\]\.ready must be boolean"),
    "a word that there is not": ({"pods": "[{ name: a, phase: Runing }]"}, r":2:28: pods\[1\]\.phase must be one of .*'Running'"),
    "no list": ({"pods": "{ name: a }"}, r":2:10: pods must be a list"),
    "a text for a number": ({"replicas": "many"}, r":2:\d+: replicas must be integer"),
    "a word for what is not known": ({"replicas": "no_dta"}, r"replicas must be integer.*did you mean 'no_data'"),
    "in then": ({"replicas": "{ then: [3, three] }"}, r":2:\d+: replicas must be integer"),
    "in at": ({"replicas": "{ at: { 0s: 3, 5m: three } }"}, r":2:\d+: replicas must be integer"),
    "in after": ({"own": "after: { kubernetes.scale: { replicas: 4.5 } }"}, r":7:34: replicas must be integer"),
    "its own given": ({"own": "given: { replicas: x }"}, r":7:14: replicas must be integer"),
    "a field that is looked at and not given": ({"pods": "[{ name: a }]"}, r"pods\[1\] has no 'phase' here"),
    "a state that is misspelt": ({"state": "{ replcas: 3 }"}, r":3:10: kubernetes\.scale sets 'replicas'.*'replcas'"),
    "a state that lacks it": ({"state": "{ generation: 3 }"}, r":3:10: kubernetes\.scale sets 'replicas'.*add replicas"),
    "a state of a wrong type": ({"state": '{ replicas: "3" }'}, r":3:\d+: replicas must be integer"),
    "an effect that there is not": ({"own": "after: { kubernetes.scal: { replicas: 4 } }"}, r":7:14: after: .*did you mean 'kubernetes\.scale'"),
    "an effect of nobody": ({"own": "effects: { shell.scale: applied }"}, r":7:16: effects: there is no effect 'shell\.scale'"),
    "what becomes of it": ({"own": "effects: { kubernetes.scale: aplied }"}, r":7:34: .*did you mean 'applied'"),
    "what becomes of it, in turn": ({"own": "effects: { kubernetes.scale: { then: [applied, cot] } }"}, r":7:52: .*did you mean 'cut'"),
    "policy refuses it": ({"own": "effects: { kubernetes.scale: frozen }", "outcome": "escalated, reason: frozen, effects: []"}, None),
    "policy refuses what is refused by nobody": ({"own": "effects: { kubernetes.scale: frosen }"}, r":7:34: .*did you mean 'frozen'"),
    "a read that is not answered": ({"more": "# x", "own": "given: { pods: { at: { 1m: [] } } }"}, r"t\.test\.yaml:6:5: .*add under given:  pods:"),
    "a trigger": ({"own": "trigger: { labels: { service: web } }\n    params: { service: web }\n    state: {}"}, None),
    "its labels fill parameters": ({"own": "trigger: { labels: { service: '!' } }", "params": ""}, r"labels\.service.*service"),
    "it is over": ({"own": "trigger: { firing: false }", "outcome": "no_action"}, None),
    "it is over later": ({"own": "trigger: { firing: { at: { 0s: true, 5m: false } } }"}, None),
    "nobody knows whether": ({"own": "trigger: { firing: no_data }", "outcome": "escalated"}, None),
    "of the file": ({"more": "trigger: { kind: alert, firing: false }", "outcome": "no_action"}, None),
    "over that of the file": ({"more": "trigger: { firing: false }", "own": "trigger: { firing: true }"}, None),
    "a kind that there is not": ({"own": "trigger: { kind: alrt }"}, r":7:22: .*did you mean 'alert'"),
    "a key that there is not": ({"own": "trigger: { labls: {} }"}, r":7:16: .*did you mean 'labels'"),
    "a label that is no text": ({"own": "trigger: { labels: { service: 3 } }"}, r":7:35: labels are texts"),
    "firing is yes or no": ({"own": "trigger: { firing: yes }"}, r":7:24: firing: true, false"),
}


def said_cases(program, path):
    """What the run wrote stays lines, and is no line of the test's own; what a terminal would obey is shown."""
    box = stand.Box(program, path / "said", CONFIG, "")
    (box.path / "t.md").write_text("---\nrunbook: t\n---\n# T\n```lua\nescalate \"one\\n\\27[31mtwo\"\n```\n")
    (box.path / "t.test.yaml").write_text("scenarios: [{ name: a, expect: { outcome: resolved } }]\n")
    got = box.command("test", "t.md")
    yield "said: lines", expect(got, 2, r"the run said: one\n    \\x1b\[31mtwo\n")


def scenario_cases(program, path):
    box = stand.Box(program, path / "box", CONFIG, "")
    (box.path / "t.md").write_text(BOOK)
    for name, (changes, pattern) in SAID.items():
        text = FILE.format(**{**GOOD, **changes})
        if changes.get("params") == "":
            text = text.split("\n", 1)[1]
        (box.path / "t.test.yaml").write_text(text)
        got = box.command("test", "t.md")
        yield "scenario: " + name, expect(got, 2 if pattern else 0, pattern or "1 passed, 0 failed")


TOY = """return plugin "toy" {
  reads = {
    record = { returns = { a = "integer", b = "string?", c = "x|y" }, read = function() return %s end },
    list   = { returns = { list = { a = "integer" } }, read = function() return %s end },
    text   = { returns = "string", read = function() return %s end },
    word   = { returns = "x|y", read = function() return %s end },
    number = { returns = "number >= 0", read = function() return %s end },
  },
}
"""
RIGHT = ("{ a = 1, c = 'y' }", "json.array { { a = 1 } }", "'x'", "'x'", "0")
ANSWERS = {
    "a field is missing": (0, "{ c = 'x' }", r"a is missing \(integer\)"), "a wrong type": (0, "{ a = 1.5, c = 'x' }", "a must be integer"),
    "a field too many": (0, "{ a = 1, c = 'x', d = 1 }", "d is no declared field"), "a word": (0, "{ a = 1, c = 'z' }", r"c must be one of x\|y"),
    "no record": (0, "3", "must be an object"), "no list": (1, "{ a = 1 }", "must be a list"), "an element": (1, "json.array { { a = 'x' } }", r"\[1\]\.a"),
    "no text": (2, "7", "must be string"), "another word": (3, "'q'", r"x\|y"), "below its bound": (4, "-1", "number >= 0"),
}


def gate_cases(program, path):
    box = stand.Box(program, path / "gate", CONFIG, "[]")
    box.uses = "{ toy: toy }"
    (box.path / "plugins").mkdir()
    looks = "local o = observe { r = toy.record(), l = toy.list(), t = toy.text(), w = toy.word(), n = toy.number() }\n" \
        "resolve(o.r.a .. o.r.c .. #o.l .. o.t .. o.w .. o.n)"
    (box.path / "plugins/toy.lua").write_text(TOY % RIGHT)
    yield "gate: answers as declared", expect(box.run(looks), 0, "1y1xx0")
    for name, (which, value, pattern) in ANSWERS.items():
        (box.path / "plugins/toy.lua").write_text(TOY % tuple(value if i == which else x for i, x in enumerate(RIGHT)))
        got = box.run(looks)
        yield "gate: " + name, expect(got, 3, r"plugin toy breaks its declaration.*" + pattern, r"escalated \(no_data\)")


# What becomes of two changes and the undo of one -> the run's effects and reason, or what is said.
REFUSED = {"{ then: [applied, halted, applied] }": ("[toy.set knob/a, undo toy.set knob/a]", "unverified"),
           "{ then: [applied, halted] }": ("[toy.set knob/a]", "unverified"),
           "{ then: [applied, applied, frozen] }": (None, "policy never refuses an undo as 'frozen'")}
KNOB = """local now = 1
return plugin "toy" { reads = {}, effects = { set = { class = "ensure", target = "knob/{{name}}", args = { "name", "to" },
  params = { name = "string", to = "integer" }, state = function() return { to = now } end,
  want = function(a) return { to = a.to } end, apply = function(_, _, to) now = to.to end } } }
"""
SETS = """remedy("turn both", { toy.set("a", 3), toy.set("b", 3) }, { verify = function() return now() < 0 end, within = "1m" })
resolve "done"
"""
MAY = "may: [{ effect: toy.set, target: 'knob/*', at_most: 3 }]\nlimits: { cooldown: 1h }\n"


def refusal_cases(program, path):
    """What policy says when an effect is to be sent; and a run that was refused, as a scenario."""
    box = stand.Box(program, path / "refusal", CONFIG.replace("none", "x"), "{ toy: toy }")
    (box.path / "plugins").mkdir()
    (box.path / "plugins/toy.lua").write_text(KNOB)
    (box.path / "t.md").write_text(f"---\nrunbook: t\nuses: {{ toy: toy }}\n{MAY}---\n# T\n```lua\n{SETS}```\n")
    for fate, (effects, reason) in REFUSED.items():
        (box.path / "t.test.yaml").write_text(f"state: {{ knob/a: {{ to: 1 }}, knob/b: {{ to: 1 }} }}\nscenarios:\n  - name: one\n    effects: {{ toy.set: {fate} }}\n"
                                              f"    expect: {{ outcome: escalated, reason: {reason if effects else 'unverified'}, effects: {effects or '[]'} }}\n")
        got = box.command("test", "t.md")
        yield "refusal: " + fate, expect(got, 0 if effects else 2, "1 passed" if effects else reason)
    once = 'remedy("turn it", toy.set("a", 3), { verify = "applied" })\nresolve "done"'
    box.run(once, MAY)
    box.command("run", "t.md", "--state", box.state)
    got = box.command("test", "--record", "2", "--state", box.state)
    (box.path / "t.test.yaml").write_text(got[1])
    yield "refusal: a run that was refused, as a scenario", expect(got, 0, r'toy\.set: "cooling_down"') or expect(box.command("test", "t.md"), 0, "1 passed")


# 25,000 looks; what each leaves behind is nothing, or a text.
POLL = """---
runbook: t
limits: {{ time: 24h }}
uses: {{ kubernetes: prod-eu }}
---
# T
```lua
local kept = {{}}
wait_until("scaled", {{ every = "1s", within = "25000s" }}, function()
  local o = observe {{ replicas = kubernetes.deployment("prod", "api"):replicas() }}
  {}
  return o.replicas == 4
end)
no_action "looked"
```
"""
POLLS = {"forgets what nobody holds": ("", "no_action"),
         "that takes all memory ends": ("kept[#kept + 1] = string.rep('x', 8000) .. #kept", "escalated, reason: error")}


def memory_cases(program, path):
    box = stand.Box(program, path / "memory", CONFIG, "")
    for name, (code, end) in POLLS.items():
        (box.path / "t.md").write_text(POLL.format(code))
        (box.path / "t.test.yaml").write_text(f"scenarios:\n  - {{ name: one, given: {{ replicas: 3 }}, expect: {{ outcome: {end} }} }}\n")
        yield "memory: a poll " + name, expect(box.command("test", "t.md"), 0, "1 passed, 0 failed")


def cases(program, scratch, only):
    for group in (scenario_cases, said_cases, gate_cases, refusal_cases, memory_cases):
        if only in group.__name__:
            yield from group(program, scratch)


if __name__ == "__main__":
    stand.main(__doc__, cases)
