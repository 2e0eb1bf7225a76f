#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""midwatch lint: for each rule code that breaks it, with the place and the mend, and code beside it that does not.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import pathlib
import re
import subprocess

import stand

FRONT = """\
---
runbook: t
summary: a test
uses: { kubernetes: k8s, prometheus: metrics }
params:
  service: { type: string, default: api }
may: [{ effect: kubernetes.rollback, target: deployment/prod/api }, { effect: kubernetes.scale, target: deployment/prod/api }]
---
# T
```lua
local name = params.service
"""
FIRST = 12      # the line of the code of a case
CONFIG = "instances: { k8s: { plugin: kubernetes, kubeconfig: k }, metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' } }\n"
API = "local api = kubernetes.deployment('prod', name)\n"
READ = "local p95 = prometheus.value('up')\n"
GROUP = READ + "local o = observe { p95 = p95 }\n"

# rule and name: code, (line of the code, column), what why and mend must contain
WRONG = {
    "no_global: misspelt verb": ("resolv 'x'", (1, 1), "resolv", "resolve"),
    "no_global: unknown word": ("note(frobnicate)", (1, 6), "frobnicate", "local frobnicate"),
    "no_global: in a function": ("local function f()\n  return secnds(2)\nend\nnote(f())", (2, 10), "secnds", "seconds"),
    "global_assigned: undeclared": ("x = 1", (1, 1), "nowhere declared", "local"),
    "global_assigned: a verb": ("resolve = 1", (1, 1), "part of the language", "local"),
    "global_assigned: a function": ("function helper() end", (1, 10), "helper", "local"),
    "shadowed: a local": ("local observe = 1", (1, 7), "observe", "another name"),
    "shadowed: a parameter": ("local function f(list) return list end\nnote(f 'x')", (1, 18), "list", "another name"),
    "shadowed: a loop": ("for text = 1, 2 do note 'x' end", (1, 5), "text", "another name"),
    "no_member: of a plugin": ("local d = kubernetes.deploymnt('a', 'b')", (1, 22), "deploymnt", "deployment"),
    "no_member: of a thing": (API + "note(observe(api:replcas()))", (2, 18), "replcas", "replicas"),
    "no_member: effect of a thing": (API + "remedy('x', api:rollbak(), { verify = 'applied' })", (2, 17), "rollbak", "rollback"),
    "no_field: of a group": (GROUP + "if o.p59 > 1 then note 'x' end", (3, 6), "p59", "p95"),
    "no_field: of a record": (API + "local h = list.first(observe(api:history()))\nnote(h.imag)", (3, 8), "imag", "image"),
    "no_field: in a loop": (API + "for _, h in ipairs(observe(api:history())) do note(h.nam) end", (2, 54), "nam", "name"),
    "no_field: of the parameters": ("note(params.servce)", (1, 13), "servce", "service"),
    "text_compared": (GROUP + "if text.of(o, 'p95') == '2 s' then note 'x' end", (3, 4), "words", "known"),
    "nil_compared": (GROUP + "if o.p95 == nil then note 'x' end", (3, 10), "never nil", "known"),
    "nil_compared: the other way": (GROUP + "if nil ~= o.p95 then note 'x' end", (3, 8), "never nil", "absent"),
    "default_unused": (GROUP + "note('p95 ' .. (o.p95 or 0))", (3, 23), "never taken", "absent"),
    "known_unused": (GROUP + "known(o, 'p95')", (3, 1), "not used", "if known"),
    "and_or: false": ("local x = name == 'a' and false or true\nnote(tostring(x))", (1, 23), "false", "if and else"),
    "and_or: a comparison": (GROUP + "local x = name == 'a' and o.p95 > 1 or name == 'b'\nnote(tostring(x))", (3, 23), "o.p95 > 1", "if"),
    "no_verify: missing": (API + "remedy('x', api:rollback(), { within = '5m' })", (2, 1), "verify", "applied"),
    "no_verify: no options": (API + "local back = api:rollback()\nremedy('x', back)", (3, 1), "verify", "applied"),
    "no_verify: in a local": (API + "local how = { within = '5m' }\nremedy('x', api:rollback(), how)", (3, 1), "verify", "applied"),
    "no_bound: a wait": ("wait_until('x', { every = '1s' }, function() return true end)", (1, 1), "no end", "within"),
    "no_bound: a loop": ("while true do sleep '1s' end", (1, 1), "no bound", "wait_until"),
    "no_bound: repeat": ("repeat sleep '1s' until trigger.firing()", (1, 1), "no bound", "wait_until"),
    "verb_in_sort": (READ + "table.sort({ 2, 1 }, function() return observe(p95) < 1 end)", (2, 40), "observe", "sort then"),
    "verb_in_sort: by name": (READ + "local function by() return observe(p95) < 1 end\ntable.sort({ 2, 1 }, by)", (2, 28), "observe", "sort"),
    "name_twice": (GROUP + "local again = observe { p95 = p95 }\nnote(text.of(again, 'p95') .. o.p95)", (3, 25), "line 13", "another name"),
    "name_twice: in one arm": (READ + "if name == 'x' then\n  note(observe { z = p95 }.z)\n  note(observe { z = p95 }.z)\nend", (4, 18), "line 14",
                               "another name"),
    "name_twice: behind the branches": (READ + "if name == 'x' then note(observe { z = p95 }.z) end\nnote(observe { z = p95 }.z)", (3, 16),
                                        "line 13", "another name"),
    "name_twice: branches of a loop": (READ + "for i = 1, 2 do\n  if i == 1 then note(observe { z = p95 }.z)\n  else note(observe { z = p95 }.z) end\nend",
                                       (4, 23), "line 14", "another name"),
    "value_unused: an effect": (API + "api:rollback()", (2, 1), "an effect", "remedy"),
    "value_unused: a read": ("prometheus.value('up')", (1, 1), "a read", "observe"),
    "not_observed": (API + "if api:state().ready < 3 then note 'x' end", (2, 16), "before it is observed", "observe(...).ready"),
    "no_option: of remedy": (API + "remedy('x', api:rollback(), { verify = 'applied', timeout = '1m' })", (2, 51), "timeout", "within"),
    "no_option: misspelt": (API + "remedy('x', api:rollback(), { verify = 'applied', wthin = '1m' })", (2, 51), "wthin", "'within'"),
    "no_option: of approve": (API + "local how = { verify = 'applied', approve = { txt = 'x' } }\nremedy('x', api:rollback(), how)", (2, 47), "approve", "'text'"),
    "no_option: of a hypothesis": (GROUP + "local h = hypothesis 'x' { likelyhood = 'high', test = function() return o.p95 > 1 end }\ndiagnose { h }", (3, 28), "likelyhood", "'likelihood'"),
    "no_option: of a wait": ("wait_until('x', { within = '1m', evry = '1s' }, function() return true end)", (1, 34), "evry", "'every'"),
    "no_option: of a read": (API + "note(#observe(api:pods { labels = 'x' }))", (2, 26), "labels", "selector"),
    "no_option: behind arguments": ("note(observe(prometheus.value('up{job=$1}', name, { abzent = 1 })))", (1, 53), "abzent", "'absent'"),
    "not_in_may": (API + "remedy('x', api:restart(), { verify = 'applied' })", (2, 13), "kubernetes.restart", "under may"),
    "no_channel": ("notify('slack', 'x')", (1, 8), "slack", "channels"),
    "hypothesis": ("local h = hypothesis('x', { test = function() return true end })\ndiagnose { h }", (1, 27), "the title alone", "hypothesis \"title\" {"),
    "query_quoted": ("note(observe(prometheus.value('up{job=\"$1\"}', name)))", (1, 31), "$1", "without quotes"),
    "query_value": ("note(observe(prometheus.value('up{job=$1,instance=$2}', name)))", (1, 31), "$2", "behind the query"),
    "query_joined": ("note(observe(prometheus.value('up{job=' .. params.service .. '}')))", (1, 44), "not quoted", "$1"),
    "query_compares": ("note(observe(prometheus.value('sum(rate(a{b=\">1\"}[5m])) > 0.01')))", (1, 31), "unknown, not false", "in the runbook"),
    "no_global: print": ("print 'x'", (1, 1), "print", "note(text)"),
    "hole: nil": ("local t = { 1, nil, 3 }\nnote(#t)", (1, 16), "hole", "false"),
    "hole: behind the end": ("local t = {}\nt[#t + 2] = 1\nnote(#t)", (2, 3), "hole", "t[#t + 1]"),
    "field_twice": ("local t = { a = 1, b = 2, a = 3 }\nnote(t.a)", (1, 27), "'a'", "remove"),
    "not_reached": ("resolve 'x'\nnote 'y'", (2, 1), "ended in line 12", "remove"),
    "not_reached: in a branch": ("if name == 'x' then\n  resolve 'x'\n  note 'y'\nend", (3, 3), "ended in line 13", "remove"),
    "not_reached: both branches end": ("if name == 'x' then resolve 'x' else escalate 'y' end\nnote 'z'", (2, 1), "line 12", "remove"),
    "split": ("if name == 'x' then\n```\nprose\n```lua\nend", (1, 1), "another block", "one block"),
    "return": ("return 1", (1, 1), "without an outcome", "resolve"),
    "syntax: the place": ("local a = )", (1, 11), "')'", ""),
    "syntax: a block that is not closed": ("if name then\n  note 'x'", (4, 1), "line 12", ""),
    "syntax: const": ("local a <const> = 1\na = 2", (2, 1), "const variable 'a'", ""),
}

RIGHT = {
    "a verb in a field": "local t = { resolve = 1 }\nnote(t.resolve)",
    "a local of another name": "local answer = 1\nnote(answer)",
    "members": API + "note(observe(api:replicas()))\nremedy('x', api:scale(3), { verify = 'applied' })",
    "a type that is not known": "local t = {}\nt.x = kubernetes\nnote(tostring(t.x.anything))",
    "a local that is set twice": API + "api = { rollbak = function() end }\napi:rollbak()",
    "known": GROUP + "if known(o, 'p95') and o.p95 > 1 then note 'x' end",
    "a fallback between values": GROUP + "local best = o.p95 or p95\nnote(tostring(best))",
    "and, or with a value": "note(name == 'x' and 'a' or 'b')",
    "verify added later": API + "local how = { within = '5m' }\nhow.verify = 'applied'\nremedy('x', api:rollback(), how)",
    "options from elsewhere": API + "local function how() return { verify = 'applied' } end\nremedy('x', api:rollback(), how())",
    "a bounded wait": "note(tostring(wait_until('x', { within = '1m' }, function() return true end)))",
    "one name in branches of which one is taken": READ + "if name == 'x' then note(observe { z = p95 }.z)\nelseif name == 'y' then "
        "note(observe { z = p95 }.z)\nelse note(observe { z = p95 }.z) end",
    "a loop with an end": "for _ = 1, 3 do sleep '1s' end",
    "a sort without verbs": "local t = { 2, 1 }\ntable.sort(t, function(a, b) return a > b end)\nnote(t[1])",
    "nil as a field": "local t = { a = nil, 1 }\nnote(#t)",
    "the next place": "local t = {}\nt[#t + 1] = 1\nnote(#t)",
    "an ending under a condition": "if name == 'x' then resolve 'x' end\nnote 'y'",
    "an ending in a function": "local function f() resolve 'x' end\nf()",
    "two blocks": "note 'x'\n```\nprose\n```lua\nnote 'y'",
    "a return in a function": "local function f() return 1 end\nnote(f())",
    "blank lines in a statement": "if name == 'x' then\n\n  note 'x'\n\nend",
    "options of a verb": "wait_until('x', { within = '1m', stop_if = function() return false end }, function() return true end)",
    "options of a read": API + "note(#observe(api:pods { selector = 'a=b', absent = 1, max_age = '1m' }))",
    "labels are no options": "note(observe(prometheus.age('up', { job = name })))",
    "options that come from elsewhere": API + "local opts = { [name] = 1 }\nnote(#observe(api:pods(opts)))",
    "a comparison with bool": "note(observe(prometheus.value('sum(up) > bool 1')))",
    "a comparison with a default": "note(observe(prometheus.value('sum(up) > 1', { absent = 0 })))",
    "a comparison inside": "note(observe(prometheus.value('count(up > 1) or vector(0)')))",
    "values from a call": "local function both() return 'a', 'b' end\nnote(observe(prometheus.value('a{b=$1,c=$2}', both())))",
    "a query of two literals": "local one = '{job=$1}'\nnote(observe(prometheus.value('up' .. one, name)))",
    "the terminal": "notify('terminal', 'x')",
    "load with own names": "local f = load('return x', 'f', 't', { x = 1 })\nnote(tostring(f))",
}


def lint(program, box, text, *words):
    (box / "t.md").write_text(text)
    p = subprocess.run([program, "lint", "t.md", "--config", "midwatch.yaml", *words], cwd=box, text=True, capture_output=True,
                       timeout=stand.patience(60), check=False)
    return p.returncode, p.stdout, p.stderr


def book(code, front=FRONT):
    return f"{front}{code}\n```\n"


def wrong_cases(program, box):
    for name, (code, place, why, mend) in WRONG.items():
        exit_code, out, err = lint(program, box, book(code), "-o", "json")
        try:
            found = json.loads(out)
        except ValueError:
            yield name, f"no JSON: {out} {err}"
            continue
        want = {"file": "t.md", "line": place[0] + FIRST - 1, "column": place[1], "rule": name.split(":")[0]}
        same = len(found) == 1 and all(found[0].get(k) == v for k, v in want.items()) and why in found[0]["why"] \
            and mend in found[0].get("mend", "") and exit_code == 2
        yield name, None if same else f"exit {exit_code}, {found}, wanted {want} with '{why}' and '{mend}'"


def right_cases(program, box):
    for name, code in RIGHT.items():
        exit_code, out, err = lint(program, box, book(code))
        yield "fine: " + name, None if exit_code == 0 and "nothing to complain" in out else f"exit {exit_code}: {out}{err}"


def other_cases(program, box):
    front = "---\nrunbok: t\nsummary: [1]\ntriggers: 5\nparams:\n  a: { type: strin }\nlimits: { tim: 5m }\nuses: [shell]\n---\n"
    exit_code, out, _ = lint(program, box, book("resolve 'x'", front + "# T\n```lua\n"))
    said = ["t.md:2:1: unknown key 'runbok'", "t.md:3:10: summary must", "t.md:4:11: triggers must", "t.md:6:14: type: 'strin'",
            "t.md:7:11: unknown key 'tim'", "t.md:2:1: the key 'runbook'"]
    told = out.splitlines()
    yield "front matter: all that is wrong in one go", None if exit_code == 2 and len(told) == len(said) and all(
        line.startswith(start) for line, start in zip(told, said)) else out
    unused = book("note 'x'", FRONT.replace("local name = params.service\n", ""))
    _, out, _ = lint(program, box, unused)
    yield "param_unused", None if out == "t.md:6:3: parameter 'service' is never used (use it, or remove it)\n" else out
    whole = book("for k, v in pairs(params) do note(k .. v) end", FRONT.replace("local name = params.service\n", ""))
    exit_code, out, _ = lint(program, box, whole)
    yield "all parameters as a whole are used", None if exit_code == 0 else out
    _, out, _ = lint(program, box, book("resolv 'x'\nresolv 'y'"))
    lines = [line.split(" ")[0] for line in out.splitlines()]
    yield "as text, in the order of the file", None if lines == ["t.md:12:1:", "t.md:13:1:"] else out
    exit_code, out, _ = lint(program, box, book("note 'x'"), "-o", "json")
    yield "an empty list", None if (exit_code, out) == (0, "[]\n") else out
    large = book("\n".join(f"local v{i} = {{ {i}, 'x', f = function(a) return a + {i} end }} note(v{i}[1])" for i in range(190)))
    exit_code, out, _ = lint(program, box, large)
    yield "many lines", None if exit_code == 0 else out[:300]
    deep = book("local x = " + "(" * 500 + "1" + ")" * 500)
    exit_code, out, _ = lint(program, box, deep)
    yield "nested without end", None if exit_code == 2 and "nested too deep" in out else out[:300]


def words_cases(program, box):
    """The words that lint knows are those that a run has: none of them is an unknown global there."""
    source = (pathlib.Path(__file__).resolve().parents[2] / "lua/lint.lua").read_text()
    words = [w for name in ("verbs", "ambient") for w in
             re.findall(r'"(\w+)"', re.search(rf"^local {name} = {{(.*?)^}}", source, re.S | re.M)[1])]
    code = "local all = {}\n" + "\n".join(f"all[#all + 1] = type({w})" for w in words if w != "require") + "\nresolve(#all)"
    (box / "t.md").write_text(book(code.replace("resolve(#all)", "resolve(#all .. ' words')")))
    p = subprocess.run([program, "run", "t.md", "--config", "midwatch.yaml", "--state", "s"], cwd=box, text=True,
                       capture_output=True, timeout=stand.patience(60), check=False)
    yield "knows the words of a run", None if len(words) > 60 and f"{len(words) - 1} words" in p.stdout + p.stderr else \
        f"{len(words)}: {p.stdout}{p.stderr}"


def cases(program, scratch, only):
    (scratch / "midwatch.yaml").write_text(CONFIG)
    for group in (wrong_cases, right_cases, other_cases, words_cases):
        if only in group.__name__:
            for name, wrong in group(program, scratch):
                yield f"lint {name}", wrong


if __name__ == "__main__":
    stand.main(__doc__, cases)
