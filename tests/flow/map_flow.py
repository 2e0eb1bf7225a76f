#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""midwatch map: every kind of branch, what --check finds, what --diff says, and code that cannot be explored.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import pathlib
import subprocess
import xml.dom.minidom

import stand

REPO = pathlib.Path(__file__).resolve().parents[2]
FRONT = """\
---
runbook: t
summary: a test
uses: {{ kubernetes: k8s, prometheus: metrics, alertmanager: alerts, shell: shell }}
params:
  service: {{ type: string, default: api, match: "[a-z]+" }}
  mode:    {{ type: string, one_of: [slow, fast], default: slow }}
  dry:     {{ type: boolean, default: false }}
may:
{may}
---
# T

```lua
local api = kubernetes.deployment("prod", params.service)
"""
MAY = '  - { effect: kubernetes.rollback, target: "deployment/prod/{{service}}" }\n' \
      '  - { effect: kubernetes.scale, target: "deployment/prod/{{service}}", replicas: { max: 10 } }'
FIRST = 17      # the line of the code of a case
CONFIG = """instances:
  k8s: { plugin: kubernetes, kubeconfig: k }
  metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' }
  alerts: { plugin: alertmanager, url: 'http://127.0.0.1:2' }
commands: { more: { argv: ["true"], read: { returns: json } } }
"""
A = 'local o = observe { a = prometheus.value("a"), b = prometheus.value("b") }\n'
HOW = "local how = { verify = function() return observe(prometheus.value('a')) < 5 end, within = '10m' }\n"
BACK = "remedy('back', api:rollback(), how)\n"
END = "\nresolve 'done'"


def book(code, may=MAY):
    return FRONT.format(may=may) + code + "\n```\n"


class Box:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "midwatch.yaml").write_text(CONFIG)

    def run(self, *args, text=None):
        if text is not None:
            (self.folder / "t.md").write_text(text)
        p = subprocess.run([self.program, "map", "t.md", "--config", "midwatch.yaml", *args], cwd=self.folder, text=True,
                           capture_output=True, timeout=stand.patience(120), check=False)
        return p.returncode, p.stdout, p.stderr

    def map(self, code, *args, may=MAY):
        exit_code, out, err = self.run("-o", "json", *args, text=book(code, may))
        if exit_code != 0:
            raise AssertionError(f"exit {exit_code}: {out[-300:]}{err[-300:]}")
        return json.loads(out)

    def check(self, code, may=MAY):
        exit_code, out, _ = self.run("--check", "-o", "json", text=book(code, may))
        return exit_code, json.loads(out)


def paths(found):
    """{"a > 5, ...": "resolved (runbook)"}"""
    return {", ".join(c["text"] for c in p["conditions"]): f"{p['outcome']} ({p['reason']})" for p in found["paths"]}


# name: code, the paths that it has
BRANCHES = {
    "a number and a constant": (A + "if o.a > 5 then escalate 'x' end" + END, {
        "a > 5": "escalated (runbook)", "a <= 5": "resolved (runbook)", "a is unknown": "escalated (no_data)"}),
    "an interval is kept": (A + "if o.a > 5 then if o.a > 3 then escalate 'x' end refuse 'never' end" + END, {
        "a > 5": "escalated (runbook)", "a <= 5": "resolved (runbook)", "a is unknown": "escalated (no_data)"}),
    "and narrowed": (A + "if o.a < 1 or o.a > 9 then escalate 'x' end if o.a == 0 then refuse 'never' end" + END, {
        "a < 1": "escalated (runbook)", "a >= 1, a > 9": "escalated (runbook)", "a >= 1, a <= 9": "resolved (runbook)",
        "a is unknown": "escalated (no_data)"}),
    "through arithmetic": (A + "local x = o.a * 2 + 1 if x > 11 then escalate 'x' end if o.a > 5 then refuse 'never' end" + END, {
        "a * 2 + 1 > 11": "escalated (runbook)", "a * 2 + 1 <= 11": "resolved (runbook)", "a is unknown": "escalated (no_data)"}),
    "of two symbols": (A + "if o.a > 2 * o.b then escalate 'x' end if o.a > 2 * o.b then refuse 'never' end" + END, {
        "a > 2 * b": "escalated (runbook)", "a <= 2 * b": "resolved (runbook)", "a is unknown": "escalated (no_data)",
        "b is unknown": "escalated (no_data)"}),
    "min and max": (A + "if math.min(o.a, 3) > 3 then refuse 'never' end if math.max(o.a, 3) < 3 then refuse 'never' end" + END, {
        "": "resolved (runbook)", "a is unknown": "escalated (no_data)"}),
    "whole numbers": ("local n = observe(api:replicas()) if n > 2 and n < 4 then escalate(n == 3 and '3' or 'never') end "
                      "if n == 2.5 then refuse 'never' end" + END, None),
    "known": (A + "if not known(o, 'a') then escalate 'x' end" + END, {
        "": "resolved (runbook)", "a is unknown": "escalated (runbook)"}),
    "a default": ("local x = observe(prometheus.value('q', { absent = 7 })) if x == 7 then escalate 'x' end" + END, {
        'prometheus.value("q") == 7': "escalated (runbook)", 'prometheus.value("q") ~= 7': "resolved (runbook)",
        'prometheus.value("q") is not there': "escalated (runbook)", 'prometheus.value("q") is unknown': "escalated (no_data)"}),
    "any beats unknown": (A + "local yes = any { function() return o.a > 1 end, function() return o.b > 1 end }\n"
                          "if yes then escalate 'x' end" + END, {
        "a > 1": "escalated (runbook)", "a <= 1, b > 1": "escalated (runbook)", "a <= 1, b <= 1": "resolved (runbook)",
        "a <= 1, b is unknown": "escalated (no_data)", "a is unknown, b > 1": "escalated (runbook)",
        "a is unknown, b <= 1": "escalated (no_data)", "a is unknown, b is unknown": "escalated (no_data)"}),
    "a boolean": ("local r = observe(api:rollout()) if r.done then escalate 'x' end" + END, {
        "kubernetes.rollout(deployment/prod/api).done": "escalated (runbook)",
        "not kubernetes.rollout(deployment/prod/api).done": "resolved (runbook)",
        "kubernetes.rollout(deployment/prod/api) is unknown": "escalated (no_data)"}),
    "a text": ("local o = observe { s = api:state() }\nif o.s.image == 'x' then escalate 'x' end\n"
               "if text.has(o.s.image, 'y') then refuse 'y' end" + END, {
                   's.image == "x"': "escalated (runbook)", 's.image ~= "x", s.image has "y"': "no_action (refused)",
                   's.image ~= "x", s.image has no "y"': "resolved (runbook)", "s is unknown": "escalated (no_data)"}),
    "a list": ("local n = #observe(api:history()) if n == 0 then refuse 'none' elseif n == 1 then escalate 'one' end" + END, {
        "no kubernetes.history(deployment/prod/api)": "no_action (refused)",
        "one of kubernetes.history(deployment/prod/api)": "escalated (runbook)",
        "many of kubernetes.history(deployment/prod/api)": "resolved (runbook)",
        "kubernetes.history(deployment/prod/api) is unknown": "escalated (no_data)"}),
    "a parameter": ("if params.mode == 'fast' then escalate 'x' end if params.dry then refuse 'dry' end" + END, {
        'params.mode == "fast"': "escalated (runbook)", 'params.mode ~= "fast", params.dry': "no_action (refused)",
        'params.mode ~= "fast", not params.dry': "resolved (runbook)"}),
    "a question": ("if ask('how?', { 'a', 'b' }) == 'a' then escalate 'x' end" + END, {
        '"a"': "escalated (runbook)", '"b"': "resolved (runbook)", "nobody answers": "escalated (expired)"}),
    "by hand": ("manual('turn it off', 'Turn it off.')" + END, {
        '"done"': "resolved (runbook)", '"could not"': "escalated (person_declined)", "nobody answers": "escalated (expired)"}),
    "a wait": ("if not wait_until('it', { within = '1h' }, function() return observe(prometheus.value('a')) > 1 end) "
               "then escalate 'x' end" + END, {
                   'prometheus.value("a") > 1': "resolved (runbook)", 'prometheus.value("a") <= 1': "escalated (runbook)",
                   'prometheus.value("a") is unknown': "escalated (no_data)"}),
    "side by side": ("parallel { function() resolve 'first' end, function() escalate 'never' end }", {"": "resolved (runbook)"}),
    "falls off": (A + "if o.a > 1 then resolve 'x' end", {
        "a > 1": "resolved (runbook)", "a <= 1": "escalated (fell_off_end)", "a is unknown": "escalated (no_data)"}),
}


def branch_cases(box):
    for name, (code, expected) in BRANCHES.items():
        try:
            found = paths(box.map(code))
            yield name, None if expected is None and "never" not in str(found) or found == expected else json.dumps(found)
        except AssertionError as e:
            yield name, str(e)
    found = paths(box.map("if params.mode == 'fast' then escalate 'x' end" + END, "-p", "mode=fast"))
    yield "a parameter that is fixed", None if found == {"": "escalated (runbook)"} else str(found)


def remedy_cases(box):
    found = box.map(A + HOW + "if o.a < 5 then no_action 'fine' end\n" + BACK + "resolve 'x'")
    ends = {(p["reason"], tuple(e["outcome"] for e in p["effects"])) for p in found["paths"]}
    wanted = {("runbook", ()), ("recovered", ("skipped",)), ("verified", ("verified",)), ("unverified", ("undone",)),
              ("unverified", ("not undone",)), ("unverified", ("not proven",)), ("moved", ("moved",)), ("halted", ("refused",)),
              ("unknown_effect", ("unknown",)), ("no_data", ()), ("already_so", ())}
    yield "what a remedy comes to", None if ends == wanted else f"{ends ^ wanted}"
    verified = [p for p in found["paths"] if p["reason"] == "verified"][0]
    yield "an effect has its target and line", None if verified["effects"][0]["target"] == "k8s:deployment/prod/api" and \
        verified["effects"][0]["line"] == FIRST + 3 else str(verified)
    may = MAY + '\n  - { effect: kubernetes.restart, target: "deployment/prod/{{service}}" }\n  - { effect: kubernetes.resize, target: "claim/prod/data" }'
    code = A + HOW + "remedy('both', { api:rollback(), api:restart() }, how) resolve 'x'"
    _, out, _ = box.run(text=book(code, may))
    missing = [name for name in ("rollback", "restart") if f"both is skipped: kubernetes.{name} k8s:" not in out]
    yield "what is there already of several is not sent", out if missing else None
    grow = box.map(A + "local how = { verify = function() return observe(prometheus.value('a')) < 1 end, within = '5m', approve = true }\n"
                   "remedy('grow', kubernetes.claim('prod', 'data'):resize(gib(9)), how) resolve 'x'", may=may)
    ends = {e["outcome"] for p in grow["paths"] for e in p["effects"]}
    yield "what is irreversible is not undone", None if "not undone" in ends and "undone" not in ends else str(ends)
    found = box.map(A + HOW + "how.approve = true\n" + BACK + "resolve 'x'")
    ends = {p["reason"] for p in found["paths"]}
    yield "approvals", None if {"denied", "expired", "verified"} <= ends else str(ends)
    found = box.map(HOW + "remedy('more', api:scale(observe(api:replicas()) + 1), how) resolve 'x'")
    ends = {p["reason"] for p in found["paths"]}
    yield "beyond what `may` permits", None if {"not_allowed", "verified"} <= ends else str(ends)
    code = A + """local h = hypothesis "h" { likelihood = "high", test = function() return o.a > 1 and o.b > 1 end }
local g = hypothesis "g" { likelihood = "low", test = function() return o.b > 7 end }
local c = diagnose { h, g }
if c == h then resolve "h" elseif c == g then resolve "g" end
escalate "none"
"""
    found = box.map(code)
    ends = {(p["reason"], p.get("text", "")[:4]) for p in found["paths"]}
    yield "a diagnosis", None if {("runbook", "h"), ("runbook", "g"), ("runbook", "none")} <= ends and \
        any(r == "inconclusive_cause" for r, _ in ends) else str(ends)


# code that --check must find: rule, line behind FIRST (0 = any)
FOUND = {
    "acts on missing data: known": ("unknown_data", A + HOW + "if not known(o, 'b') or o.b > 5 then\n" + BACK + "end" + END),
    "acts on missing data: negated": ("unknown_data", A + HOW + "local bad = not (known(o, 'b') and o.b < 5)\nif bad then\n"
                                      + BACK + "end" + END),
    "acts on missing data: in a list": ("unknown_data", A + HOW + "local n = known(o, 'a') and 0 or 1\nif n > 0 then\n" + BACK
                                        + "end" + END),
    "no outcome": ("no_outcome", A + "if o.a > 1 then resolve 'x' end"),
    "an error": ("error", "local h = observe(api:history())\nif h[1].revision > 3 then escalate 'x' end" + END),
    "not permitted": ("may_narrow", HOW + "remedy('more', kubernetes.deployment('prod', 'other'):scale(3), how)" + END),
    "permitted and not reached": ("may_wide", A + "if o.a > 1 then escalate 'x' end" + END),
    "a hypothesis that cannot hold": ("hypothesis", A + HOW + "if o.a > 5 then escalate 'x' end\nlocal h = hypothesis 'h' { "
                                      "test = function() return o.a > 6 end }\nif diagnose { h } == h then " + BACK + "end"
                                      + END),
    "a loop over symbols": ("not_explored", "while observe(prometheus.value('a')) > 1 do note 'x' end" + END),
    "a loop without end": ("not_explored", A + "if o.a > 3 then while true do end end" + END),
    "a narrowed loop without end": ("not_explored", A + "while o.a > 3 do end" + END),
    "recursion without end": ("error", A + "local function f(n) return 1 + f(n + 1) end\nif o.a > 3 then note(f(1) .. '') end"
                              + END),
    "recursion over symbols": ("not_explored", "local function f()\n  if observe(prometheus.value('a')) > 1 then f() end\n"
                               "end\nf()" + END),
    "a symbol as a key": ("not_explored", A + "local t = {}\nt[o.a] = 1" + END),
    "how far a loop goes": ("not_explored", "for i = 1, observe(api:replicas()) do note(tostring(i)) end" + END),
    "fields of a record": ("not_explored", "for k in pairs(observe(api:state())) do note(k) end" + END),
    "bits": ("not_explored", A + "note(tostring(o.a & 1))" + END),
}


def check_cases(box):
    for name, (rule, code) in FOUND.items():
        exit_code, findings = box.check(code)
        rules = [f["rule"] for f in findings]
        right = exit_code == 2 and rule in rules and all(f["file"] == "t.md" and f["why"] and f["mend"] for f in findings)
        yield "check: " + name, None if right else f"exit {exit_code}: {findings}"
    good = A + HOW + "if o.b <= 5 then no_action 'fine' end\n" + BACK + "resolve 'x'"
    exit_code, findings = box.check(good, may=MAY.splitlines()[0])
    yield "check: nothing to complain about", None if (exit_code, findings) == (0, []) else str(findings)
    either = A + HOW + "if known(o, 'b') and o.b > 5 then note 'b' end\n" + BACK + "resolve 'x'"
    exit_code, findings = box.check(either, may=MAY.splitlines()[0])
    yield "check: missing data that decides nothing", None if (exit_code, findings) == (0, []) else str(findings)


def default_cases(box):
    """A change that only a default leads to passes, and is told."""
    code = A + HOW + "if observe(prometheus.value('q', { absent = %s })) > 5 then\n" + BACK + "end" + END
    for absent, expected in (("9", [("default_data", "warning", FIRST + 2)]), ("0", [])):
        exit_code, findings = box.check(code % absent, may=MAY.splitlines()[0])
        found = [(f["rule"], f.get("level"), f["line"]) for f in findings]
        yield f"check: a default of {absent}", None if (exit_code, found) == (0, expected) else f"exit {exit_code}: {findings}"
    box.run(text=book(code % "9", MAY.splitlines()[0]))
    exit_code, out, _ = box.run("--check")
    yield "check: a warning in words", None if exit_code == 0 and "is not there and its default stands in for it" in out and \
        out.endswith(" paths, nothing wrong\n") else out
    exit_code, findings = box.check(code % "9")
    yield "check: a warning beside an error", None if exit_code == 2 and len(findings) == 2 else str(findings)


# code that must be explored to its end, without a note
EXPLORED = {
    "a symbol in a text": A + "note('a is ' .. o.a .. string.format(' or %.2f', o.b))",
    "format arguments": A + "local n, s = observe(api:replicas()), observe(api:state()).image\n"
                        "note(string.format('%s %5.1f %g %d %q %-9s', o.a, o.a, o.b, n, s, s))",
    "an answer without a schema": "local m = observe(shell.more())\nif m.depth == 3 or m.list.x == 'y' then note 'x' end\n"
                                  "for _, x in ipairs(m.items) do if x.age > 5 then note(x.name) end end",
    "texts of symbols": "local s = observe(api:state()).image\nlocal t = s:lower():sub(2) .. s:upper()\n"
                        "if #t > 5 and t:find('x') then note(t:rep(2)) end\n"
                        "for w in s:gmatch('%w+') do note(w) end\nlocal k, n = s:gsub('a', 'b')\nnote(k .. n)",
    "captures": "local a, b = text.capture(observe(api:state()).image, '^(%a+):(.+)$')\nif a == 'x' then note(b) end",
    "arithmetic of two": A + "if o.a / o.b > 2 and o.a % 3 == 1 and o.a ^ 2 > o.b // 2 and -o.a < 3 then note 'x' end",
    "rounding": A + "if math.floor(o.a) == 3 and math.ceil(o.b) > 2 and math.abs(o.a) < 9 then note 'x' end",
    "a text as a key": "local seen = {}\nfor _, h in ipairs(observe(api:history())) do seen[h.revision > 3] = h.name end",
    "lists": "local h = observe(api:history())\nlocal n = list.count(h, { cause = 'x' })\nif n > 3 then note 'many' end\n"
             "note('of ' .. table.concat(list.names(list.top(h, 3, 'revision')), ', '))",
    "try": A + "local ok = try(function() if o.a > 3 then error 'x' end return 1 end)\nif not ok then note 'x' end",
    "sorting": A + "local t = { o.a, o.b, 3 }\ntable.sort(t)\nnote(tostring(t[1]))",
    "a trigger": "if trigger.kind == 'alert' and trigger.firing() then note(trigger.labels.pod or 'none') end",
    "the time": "local t = now()\nsleep '1h'\nif now() - t > 3600 then note 'x' end",
}


def bad_cases(box):
    for name, code in EXPLORED.items():
        try:
            found = box.map(code + END)
            errors = [p for p in found["paths"] if p["reason"] == "error"]
            yield "explores " + name, None if found["ended"] == "all" and not found["notes"] and not errors else \
                f"{found['notes']}{errors}"
        except AssertionError as e:
            yield "explores " + name, str(e)
    many = "local t = {}\n" + "\n".join(f"if observe(prometheus.value('m{i}')) > {i} then t[{i}] = true end" for i in range(20)) + \
        "\nif t[1] then note 'x' end" + END
    exit_code, findings = box.check(many)
    found = [f for f in findings if f["rule"] == "not_explored" and "bound on" in f["why"]]
    yield "a million paths end at the bound", None if exit_code == 2 and found else f"{exit_code}: {findings}"[:300]
    exit_code, out, err = box.run("--check", "--within", "1s", text=book(many))
    yield "the bound on time, and what moves it", None if exit_code == 2 and "bound on time" in out and "--within" in out else out + err
    exit_code, _, err = box.run("--within", "long", text=book("resolve 'x'"))
    yield "no time", None if exit_code == 2 and "as 2m: not 'long'" in err else err
    exit_code, _, err = box.run(text=book("local x = = 1"))
    yield "no program", None if exit_code == 2 and f"t.md:{FIRST}:" in err else err
    exit_code, _, err = box.run("-o", "png", text=book("resolve 'x'"))
    yield "an unknown form", None if exit_code == 2 and "mermaid" in err else err
    exit_code, _, err = box.run("-p", "servic=x", text=book("resolve 'x'"))
    yield "an unknown parameter", None if exit_code == 2 and "service" in err else err


def form_cases(box):
    code = A + HOW + "if o.a < 5 then no_action 'fine <b> & \"quotes\"' end\n" + BACK + "resolve 'x'"
    _, text, _ = box.run(text=book(code))
    wanted = ["a < 5 -> no_action (runbook)", "=> back: kubernetes.rollback k8s:deployment/prod/api", "-> resolved (verified)",
              f":{FIRST + 3}"]
    yield "text", None if all(w in text for w in wanted) else text
    _, svg, _ = box.run("-o", "svg")
    yield "svg is a document of its own", None if xml.dom.minidom.parseString(svg).documentElement.tagName == "svg" and \
        "http" not in svg.replace("http://www.w3.org/2000/svg", "") else svg[:300]
    _, mermaid, _ = box.run("-o", "mermaid")
    yield "mermaid", None if mermaid.startswith("flowchart TD\n") and "-->" in mermaid else mermaid[:300]
    _, page, _ = box.run("-o", "markdown")
    wanted = ["# t\n\na test\n", "| started by | the command line |", "| takes | service, else \"api\"<br>mode: slow \\| fast, else \"slow\"<br>",
              "| may change | kubernetes.rollback deployment/prod/{{service}}<br>kubernetes.scale deployment/prod/{{service}}, replicas up to 10 |",
              "```text\n" + text + "```\n"]
    yield "markdown is a page", None if all(w in page for w in wanted) else page
    first, second = box.run("-o", "json")[1], box.run("-o", "json")[1]
    yield "json is stable", None if first == second else "two maps differ"


def diff_cases(box):
    folder = box.folder

    def git(*args):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *args], cwd=folder, check=True,
                       capture_output=True)

    git("init", "-q", "-b", "main")
    text = book(A + HOW + "if o.a < 5 then no_action 'fine' end\n" + BACK + "resolve 'x'")
    (folder / "t.md").write_text(text)
    git("add", "t.md")
    git("commit", "-qm", "one")
    (folder / "t.md").write_text(text.replace("o.a < 5", "o.a < 7"))
    git("commit", "-qam", "two")
    exit_code, out, err = box.run("--diff", "HEAD~1..HEAD", "-o", "json")
    found = sorted((d["what"], d["before"], d["after"], d["decisions"]) for d in json.loads(out or "[]"))
    yield "diff: a threshold", None if exit_code == 0 and [f[:3] for f in found] == [
        ("condition", "a < 5", "a < 7"), ("condition", "a >= 5", "a >= 7")] and found[0][3] == 1 < found[1][3] else out + err
    _, out, _ = box.run("--diff", "HEAD~1..HEAD", "-o", "markdown")
    yield "diff: markdown", None if "| condition | 1 decision, which comes to the same as before | a \\< 5 | a \\< 7 |" in out and \
        out.startswith("**t**: ") else out[:500]
    _, out, _ = box.run("--diff", "HEAD..HEAD")
    yield "diff: none", None if ": 0 of " in out else out
    (folder / "t.md").write_text(text.replace("o.a < 5", "o.a < 7").replace("resolve 'x'", "if o.a < 9 then escalate 'y' end resolve 'x'"))
    _, out, _ = box.run("--diff", "HEAD..")
    yield "diff: a new branch", None if "added: " in out and "removed: " in out and "condition: " not in out else out[:800]
    (folder / "t.md").write_text(text.replace("no_action 'fine'", "escalate 'x'").replace("o.a < 5", "o.a < 7"))
    _, out, _ = box.run("--diff", "HEAD..", "-o", "json")
    different = [d for d in json.loads(out) if d["what"] == "different"]
    yield "diff: the working tree, another outcome", None if len(different) == 1 and "escalated" in different[0]["after"] else out
    exit_code, _, err = box.run("--diff", "HEAD")
    yield "diff: no range", None if exit_code == 2 and "REF1..REF2" in err else err


SHIPPED = ["cost-spike", "disk-filling-up", "gradual-rollout", "high-error-rate", "high-latency", "kube-pod-crash-looping",
           "kube-volume-filling-up", "queue-backlog", "service-unavailable", "slow-database"]


def shipped_cases(program):
    for file in (REPO / "runbooks" / f"{name}.md" for name in SHIPPED):
        p = subprocess.run([program, "map", str(file), "--check", "--within", f"{stand.patience(4)}m", "--config", "runbooks/midwatch.example.yaml"],
                           cwd=REPO, text=True, capture_output=True, timeout=stand.patience(600), check=False)
        yield f"shipped {file.stem} is clean", None if p.returncode == 0 else p.stdout + p.stderr


def cases(program, scratch, _):
    box = Box(program, scratch)
    for group in (branch_cases(box), remedy_cases(box), check_cases(box), default_cases(box), bad_cases(box), form_cases(box), diff_cases(box),
                  shipped_cases(program)):
        yield from ((f"map {name}", wrong) for name, wrong in group)


if __name__ == "__main__":
    stand.main(__doc__, cases)
