#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""midwatch map: where paths join, the map says what it says when each is followed to its end (--each).

    map_join_flow.py [--build build] [--programs 40] [--seed 1]
Prints `ok - name` or `not ok - name: why` per case."""
import json
import random
import subprocess

import stand

FRONT = """\
---
runbook: t
summary: a test
uses: { kubernetes: k8s, prometheus: metrics }
params:
  mode: { type: string, one_of: [slow, fast], default: slow }
  dry:  { type: boolean, default: false }
may:
  - { effect: kubernetes.scale, target: "deployment/prod/api" }
---
# T

```lua
local api = kubernetes.deployment("prod", "api")
"""
CONFIG = """instances:
  k8s: { plugin: kubernetes, kubeconfig: k }
  metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' }
"""
A = 'local o = observe { a = prometheus.value("a"), b = prometheus.value("b"), h = api:history(), s = api:state() }\n'

# What is known at a place must keep paths apart: name: code
APART = {
    "an interval": "if o.a > 5 then note 'x' end\nif o.a > 3 then escalate 'high' end",
    "an interval through arithmetic": "if o.a * 2 > 10 then note 'x' end\nif o.a + 1 > 5 then escalate 'high' end",
    "a difference": "if o.a - o.b > 2 then note 'x' end\nif o.a - o.b > 1 then escalate 'high' end",
    "a difference, made behind the place": "if o.a > 1 then if o.a - o.b > 2 then note 'x' end end\nnote 'y'\n"
                                           "if o.a - o.b > 2 then escalate 'high' end",
    "a local": "local x = 1\nif o.a > 5 then x = 2 end\nnote 'y'\nif x == 2 then escalate 'high' end",
    "a local that a function has": "local x = 1\nlocal function f() return x end\nif o.a > 5 then x = 2 end\nnote 'y'\n"
                                   "if f() == 2 then escalate 'high' end",
    "a local that a function changes": "local x = 1\nlocal function f() x = x + 1 end\nif o.a > 5 then f() end\nnote 'y'\n"
                                       "if x == 2 then escalate 'high' end",
    "a field of a table": "local t = { n = { 1 } }\nif o.a > 5 then t.n[2] = 2 end\nnote 'y'\nif #t.n == 2 then escalate 'h' end",
    "one table with two names": "local t, u = {}, {}\nif o.a > 5 then u = t end\nnote 'y'\nt.x = 1\nif u.x then escalate 'h' end",
    "which function": "local f = function() return 1 end\nif o.a > 5 then f = function() return 2 end end\nnote 'y'\n"
                      "if f() == 2 then escalate 'high' end",
    "whether it is known": "if known(o, 'a') then note 'x' end\nif not known(o, 'a') then escalate 'x' end",
    "which answer": "local x = o.a\nif o.b > 5 then x = o.b end\nif x > 7 then if o.a <= 7 then escalate 'b' end end",
    "a text": "if o.s.image == 'x' then note 'x' end\nif text.has(o.s.image, 'y') then escalate 'y' end\n"
              "if o.s.image == 'x' then escalate 'x' end",
    "how many": "if #o.h == 0 then note 'x' end\nif #o.h == 1 then escalate 'one' end\nif #o.h > 4 then escalate 'many' end",
    "an element": "if o.h[1] and o.h[1].revision > 3 then note 'x' end\nif o.h[1] and o.h[1].revision > 2 then escalate 'x' end",
    "a parameter": "if params.mode == 'fast' then note 'x' end\nif params.mode == 'fast' then escalate 'fast' end\n"
                   "if params.dry then note 'x' end\nif params.dry then escalate 'dry' end",
    "what has waited": "if o.a > 5 then sleep '1h' end\nlocal t = now()\nnote 'y'\nif t > 7 then escalate 'x' end",
    "the time": "local t = now()\nif t > 7 then note 'x' end\nif now() > 7 then escalate 'x' end",
    "an effect": "if o.a > 5 then remedy('more', api:scale(3), { verify = 'applied', on_failure = 'continue' }) end\nnote 'y'\n"
                 "resolve 'x'",
    "an answer": "local x = ask('how?', { 'a', 'b' })\nnote 'y'\nif x == 'a' then escalate 'x' end",
    "a hypothesis": "local h = hypothesis 'h' { test = function() return o.a > 5 end }\nlocal g = hypothesis 'g' "
                    "{ test = function() return o.b > 5 end }\nlocal c = diagnose { h, g }\nnote 'y'\n"
                    "if c == h then escalate 'h' elseif c == g then escalate 'g' end",
    "labels": "if trigger.labels.pod then note 'x' end\nif trigger.labels.pod then escalate 'x' end",
    "inside of a branch": "if o.b > 1 then\n  if o.a > 5 then note 'x' end\n  if o.a > 3 then escalate 'high' end\nend",
    "a turn of a loop": "local n, steps = 0, { 1, 2, 3 }\nfor i, x in ipairs(steps) do\n  if o.a > x then n = i end\n  note 'y'\n"
                        "  if o.b > x then break end\nend\nif n == 2 then escalate 'two' end",
    "a count": "local n = 0\nfor i = 1, 3 do\n  if o.a > i then n = n + i end\n  note 'y'\nend\nif n == 3 then escalate 'x' end",
    "a list that a loop goes over": "local l = { 1 }\nif o.a > 5 then l[2] = 2 end\nfor _, x in ipairs(l) do\n  note 'y'\n"
                                    "  if o.b > x then escalate(tostring(x)) end\n  note 'z'\nend",
    "a field of an element": "if o.h[1] and o.h[1].cause then note 'x' end\nif o.b > 1 then note 'y' end\n"
                             "if o.h[1] then if o.h[1].cause then escalate 'x' else escalate 'z' end end",
    "a field inside of a look": "local function one() return o.h[1] and o.h[1].revision > 3 end\n"
                                "local h = hypothesis 'h' { test = one }\nlocal c = diagnose { h }\nnote 'y'\n"
                                "if o.h[1] and o.h[1].revision > 2 then escalate 'x' end",
    "which elements a look has seen": "local function bad() return #list.where(o.h, function(x) return x.revision > 3 end) > 0 end\n"
                                      "local c = diagnose { hypothesis 'h' { test = bad } }\nnote 'y'\n"
                                      "local rest = list.where(o.h, function(x) return x.revision > 3 end)\n"
                                      "if #rest == 1 and rest[1].revision > 9 then escalate 'x' end",
    "what a look changes": "local n = 0\nlocal function look() if o.a > 5 then n = 1 end return o.b > 5 end\n"
                           "local c = diagnose { hypothesis 'h' { test = look } }\nnote 'y'\nif n == 1 then escalate 'x' end",
    "what a look inserts": "local t = {}\nlocal function look() if o.a > 5 then table.insert(t, 1) end return o.b > 5 end\n"
                           "local c = diagnose { hypothesis 'h' { test = look } }\nnote 'y'\nif #t > 0 then escalate 'x' end",
    "what was made in a look": "local kept\nlocal function look() kept = observe(prometheus.value 'k') return kept > 5 end\n"
                               "local c = diagnose { hypothesis 'h' { test = look } }\nnote 'y'\n"
                               "if kept > 3 then escalate 'x' end",
    "a look that ends the run": "local function look() if o.a > 5 then escalate 'in it' end return o.b > 5 end\n"
                                "local h = hypothesis 'h' { test = look }\nif diagnose { h } == h then escalate 'h' end",
    "a look that changes the world": "local function look()\n  if o.b > 5 then remedy('more', api:scale(3), { verify = 'applied' }) end\n"
                                     "  return o.a > 5\nend\nlocal h = hypothesis 'h' { test = look }\n"
                                     "if diagnose { h } == h then escalate 'h' end",
    "a look inside of a look": "local function inner() return o.a > 5 end\nlocal function look()\n"
                               "  local yes = #list.where(o.h, function(x) return x.revision > o.b end) > 0\n"
                               "  return yes or any { inner }\nend\nlocal h = hypothesis 'h' { test = look }\n"
                               "if diagnose { h } == h then escalate 'h' end\nif o.b > 3 then escalate 'b' end",
    "what a look keeps": "local kept\nlocal function look()\n  kept = observe(prometheus.value('m9', { absent = 4 }))\n"
                         "  return o.a > 5 and kept > 3 or o.b > 5\nend\nlocal h = hypothesis 'h' { test = look }\n"
                         "local is = diagnose { h } == h\nif kept > 2 then escalate(is and 'h' or 'kept') end",
    "what looks keep of a computation": "local kept\nlocal function look()\n  kept = string.format('%d', o.a + o.b)\n"
                                        "  return o.a + o.b > 5\nend\nlocal h = hypothesis 'h' { test = look }\n"
                                        "local other = hypothesis 'o' { likelihood = 'low', test = function() return look() and o.a > 1 end }\n"
                                        "local is = diagnose { h, other }\nif is == h and o.a + o.b > 7 then escalate(kept) end\n"
                                        "if is == other then escalate 'other' end\nif o.a + o.b < 3 then escalate 'less' end",
    "a length": "if #o.s.image > 5 then note 'x' end\nif #o.s.image > 3 then escalate 'x' end",
}


class Box:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "midwatch.yaml").write_text(CONFIG)

    def map(self, code, *args):
        (self.folder / "t.md").write_text(FRONT + code + "\n```\n")
        p = subprocess.run([self.program, "map", "t.md", "--config", "midwatch.yaml", "-o", "json", *args], cwd=self.folder,
                           text=True, capture_output=True, timeout=stand.patience(120), check=False)
        if p.returncode != 0:
            raise AssertionError(f"exit {p.returncode}: {p.stdout[-300:]}{p.stderr[-300:]}\n{code}")
        return json.loads(p.stdout)


def ends(found):
    """What paths come to: outcome, reason, text, line and the effects before."""
    return {json.dumps([p["outcome"], p["reason"], p.get("text"), p["line"],
                        [{k: v for k, v in e.items() if k != "path"} for e in p["effects"]]]) for p in found["paths"]}


def differ(box, code):
    joined, separate = box.map(code), box.map(code, "--each")
    for what in ("ended", "notes", "may_unused", "findings"):
        if joined[what] != separate[what]:
            return f"{what}: {joined[what]} and {separate[what]}\n{code}", joined, separate
    a, b = ends(joined), ends(separate)
    return None if a == b else f"only joined: {a - b}; only each: {b - a}\n{code}", joined, separate


def differ_from_beginning(box, code, separate):
    """A program with a goto is no steps: each of its paths is run from its beginning."""
    whole = box.map(code.replace("local", "do goto on ::on:: end local", 1), "--each")
    if whole["ended"] != "all":
        return None
    for what in ("explored", "nodes", "paths", "notes", "may_unused"):
        if whole[what] != separate[what]:
            return f"{what} of each path from its beginning: {whole[what]}\nand as steps: {separate[what]}\n{code}"
    return None


def expression(r, names):
    return r.choice([
        lambda: f"o.{r.choice('ab')} {r.choice(['<', '<=', '>', '>=', '=='])} {r.randint(0, 6)}",
        lambda: f"o.a {r.choice('+-*')} {r.randint(1, 3)} > {r.randint(0, 6)}",
        lambda: f"o.a {r.choice('+-')} o.b > {r.randint(0, 4)}",
        lambda: f"known(o, '{r.choice('ab')}') and o.b > {r.randint(0, 6)}",
        lambda: f"{r.choice(names)} == {r.randint(0, 3)}",
        lambda: f"#o.h {r.choice(['>', '==', '<'])} {r.randint(0, 3)}",
        lambda: f"o.s.image == '{r.choice('xy')}'",
        lambda: f"params.{r.choice(['dry', 'mode == {!r}'.format('fast')])}",
        lambda: f"f() {r.choice(['>', '=='])} {r.randint(0, 3)}",
        lambda: "now() > 9",
        lambda: f"t[1] and t[1] > {r.randint(0, 3)}",
    ])()


def statement(r, names, depth):
    kind = r.randint(0, 11)
    if kind < 5 and depth < 2:
        inner = "\n".join(statement(r, names, depth + 1) for _ in range(r.randint(1, 2)))
        return f"if {expression(r, names)} then\n{inner}\nend"
    return r.choice([
        f"{r.choice(names)} = {r.randint(0, 3)}", f"{r.choice(names)} = {r.choice(names)}", "note 'n'", "note 'o'", "note 'p'",
        f"t[#t + 1] = {r.choice([*names, '1', 'o.a'])}", "g()", "sleep '1h'", "table.insert(t, 1, 3)", "t[1] = nil", "note(#t .. y)",
        f"for i, v in ipairs(u) do\nnote('v' .. v)\ng()\nif {expression(r, names)} then t[i] = v end\nend",
        "remedy('more', api:scale(3), { verify = 'applied', on_failure = 'continue' })" if r.random() < 0.2 else "note 'm'",
        f"x = o.{r.choice('ab')}", f"if {expression(r, names)} then escalate '{r.randint(0, 9)}' end",
    ])


def program(seed):
    r = random.Random(seed)
    names = ["x", "y", "z"]
    first = r.choice(["local x, y, z, t, u = 0, 1, 2, {}, { 4, 5 }",
                      "local x, y = 0, 1\nlocal z, t, u = 2, {}, { 4, 5 }"])
    lines = [A + first, "local function f() return x end", "local function g() y = y + 1 end"]
    return "\n".join(lines + [statement(r, names, 0) for _ in range(r.randint(4, 7))] + ["resolve 'end'"])


def joins(box, programs, seed):
    for name, code in APART.items():
        wrong, _, _ = differ(box, A + code + "\nresolve 'done'")
        yield "keeps apart: " + name, wrong
    why = "local why\nlocal function bad() if o.b > 5 then why = 'b' end return o.a > 5 end\n" \
          "local h = hypothesis 'h' { test = bad }\nlocal is = diagnose { h } == h\nif why then escalate(why) end\n"
    texts = {p["text"] for p in box.map(A + why + "resolve(is and 'h' or 'none')")["paths"]}
    yield "keeps apart: what a look changes", None if {"b", "h", "none"} <= texts else str(texts)
    fewer, failed = 0, None
    for i in range(programs):
        wrong, joined, separate = differ(box, program(seed * 100000 + i))
        fewer += joined["explored"] < separate["explored"]
        wrong = wrong or differ_from_beginning(box, program(seed * 100000 + i), separate)
        if wrong:
            failed = f"program {seed * 100000 + i}: {wrong}"
            break
    yield f"{programs} random programs", failed
    yield "random programs join", None if fewer > programs / 4 else f"{fewer} of {programs}"
    code = 'local o = observe { ' + ", ".join(f"r{i} = prometheus.value('m{i}')" for i in range(20)) + " }\n"
    found = box.map(code + "".join(f"if o.r{i} > {i} then note 'x' end\n" for i in range(20)) + "resolve 'x'")
    yield "a million ways are a hundred paths", None if found["explored"] < 100 and found["ways"] > 2 ** 20 and \
        found["ended"] == "all" else f"{found['explored']} paths, {found['ways']} ways, {found['ended']}"


def cases(program, scratch, _, programs, seed):
    yield from ((f"map join {name}", wrong) for name, wrong in joins(Box(program, scratch), programs, seed))


if __name__ == "__main__":
    stand.main(__doc__, cases, programs=40, seed=1)
