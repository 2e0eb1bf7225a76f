#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `midwatch plan` says, way by way: effects before -> after, what others may say no to, what is not known from a change on,
and what goes wrong before there is a plan. Nothing here may change anything: after each case the world is as it was.

Prints `ok - name` or `not ok - name: why` per case."""
import contextlib
import json
import re
import sqlite3
import subprocess
import threading
import time

import stand

CONFIG = """
instances:
  api: {{ plugin: http, url: "{url}", requests: {{
    size: {{ path: /size, read: {{ returns: integer, at: /n }} }},
    set_size: {{ method: PUT, path: /size, body: {{ n: "{{{{n}}}}" }}, params: {{ n: {{ type: integer }} }},
                 effect: {{ class: ensure, target: pool, state: size, sets: n }} }} }} }}
  other: {{ plugin: nothing }}
commands:
  load:  {{ argv: [cat, {dir}/load], read: {{ returns: number }} }}
  gone:  {{ argv: [cat, {dir}/not-there], read: {{ returns: number }} }}
  more:  {{ argv: [echo, '{{"a": {{"b": 1}}}}'], read: {{ returns: json }} }}
  leak:  {{ argv: [sh, -c, 'echo "$TOKEN"'], env: {{ TOKEN: {{ secret: token }} }}, read: true }}
  workers: {{ argv: [cat, {dir}/workers], read: {{ returns: integer }} }}
  set_workers: {{ argv: [sh, -c, 'echo "$1" >{dir}/workers', sh, "{{{{n}}}}"], params: {{ n: {{ type: integer, max: 90 }} }},
                  effect: {{ class: ensure, target: workers, state: workers, sets: n }} }}
  lost:  {{ argv: [touch, {dir}/lost], params: {{ n: {{ type: integer }} }},
            effect: {{ class: ensure, target: lost, state: gone, sets: n }} }}
  kick:  {{ argv: [touch, {dir}/kicked], effect: {{ class: never_twice, target: door, undo: not needed }} }}
  door:  {{ argv: [cat, "{dir}/{{{{door}}}}"], params: {{ door: {{ match: ".*" }} }}, read: true }}
  open:  {{ argv: [touch, "{dir}/{{{{door}}}}"], params: {{ door: {{ match: ".*" }}, on: {{ type: string, default: "on" }} }},
            effect: {{ class: ensure, target: "door/{{{{door}}}}", state: door, sets: on }} }}
  burn:  {{ argv: [touch, {dir}/burnt], effect: {{ target: bridge }} }}
state: {dir}/state0
secrets:
  token: {{ file: {dir}/token, programs: [sh] }}
"""
FREEZE = "freezes:\n  - { name: all week, zone: Europe/Berlin, weekdays: [mon-sun] }\n"
STALE = "stale_trigger: 30m\n"
MAY = ("may:\n  - { effect: shell.set_workers, target: workers }\n  - { effect: shell.kick, target: door }\n"
       "  - { effect: shell.burn, target: bridge }\n  - { effect: shell.lost, target: lost }\n  - { effect: shell.open, target: \"door/*\", at_most: 3 }\n"
       "  - { effect: api.set_size, target: pool }\n")
CHANGE = 'remedy("more workers", shell.set_workers { n = 6 }, { verify = "applied"%s })\nresolve "done"'
PROVEN = ('local busy = shell.load()\nremedy("more workers", shell.set_workers { n = 6 }, { verify = function() return '
          'observe(busy) < 5 end, within = "10m"%s })\nresolve "done"')

# name, code, exit code, what must be said, what must not, more words of the command line
WAYS = [
    ("only reads", 'local v = observe(shell.load())\nif v > 5 then no_action "busy" end', 0,
     [r"= ?|7.5   shell.load\(\)", r"7.5 > 5: yes", r"no_action \(runbook\)", "0 effects to make"], ["unknown effect"]),
    ("before and after", CHANGE % "", 0, [r"~ value: 3 -> 6|~ n: 3 -> 6|~ \w+: 3 -> 6", "reversible", "approval: none is needed",
     "the state read back is the wanted one", r"it is applied -> resolved \(verified\)", "1 effect to make"], []),
    ("verified, refuted, inconclusive", PROVEN % "", 0, [r"< 5 -> resolved \(verified\)", ">= 5", "it is undone",
     r"is unknown -> escalated \(unverified\)", "within 10 min", r":\d+ local|:\d+ remedy"], []),
    ("so already", CHANGE.replace("6", "3") % "", 0, ["is so already; nothing would be sent", r"resolved \(recovered\)"], ["=> more"]),
    ("a person must agree", PROVEN % ', approve = { by = "oncall", of = 2, within = "5m" }', 0,
     ["approval: 2 people of oncall within 5 min", "it is approved", r"it is not approved; or nobody answers -> escalated \(denied"],
     []),
    ("irreversible", 'remedy("burn it", shell.burn(), { verify = "applied" })\nresolve "x"', 0,
     ["IRREVERSIBLE", "approval: 1 person", "UNKNOWN EFFECT: what is there now cannot be looked at"], []),
    ("beyond what it may", 'remedy("m", api.set_size { n = 3 }, { verify = "applied" })', 4,
     ["REFUSED: not_allowed", r"-> escalated \(not_allowed\)"], ["may: "]),
    ("the operator says no", CHANGE % "", 4, ["REFUSED: not_allowed"], []),
    ("laid over for the same target", 'remedy("six", shell.set_workers { n = 6 }, { verify = "applied" })\n'
     'remedy("nine", shell.set_workers { n = 9 }, { verify = "applied" })\nresolve "x"', 0, [r"3 -> 6", r"6 -> 9"], [r"3 -> 9"]),
    ("laid over inside of a list", 'remedy("both", { shell.set_workers { n = 6 }, shell.set_workers { n = 9 } }, '
     '{ verify = "applied" })\nresolve "x"', 0, [r"3 -> 6", r"6 -> 9"], [r"3 -> 9"]),
    ("what a change may have changed is not known", CHANGE.replace('resolve "done"', 'local v = observe(shell.load())\n'
     'if v > 5 then escalate "still busy" end\nresolve "calm"') % "", 0, [r"> 5 -> escalated \(runbook\)", r"<= 5 -> resolved"], []),
    ("arguments that are not known yet", CHANGE.replace('resolve "done"', 'local v = observe(shell.workers())\n'
     'remedy("again", shell.set_workers { n = v + 1 }, { verify = "applied" })\nresolve "x"') % "", 0,
     ["UNKNOWN EFFECT: its arguments depend on what is not known yet", "1 unknown"], []),
    ("a text that is not known yet", CHANGE.replace('resolve "done"', 'local v = observe(shell.more())\n'
     'remedy("open it", shell.open { door = v.door }, { verify = "applied" })\nresolve "x"') % "", 0,
     [r"UNKNOWN EFFECT: its arguments depend on what is not known yet", "shell.open shell:"], ["no value"]),
    ("a state that cannot be read", 'remedy("l", shell.lost { n = 1 }, { verify = "applied" })', 3,
     ["UNKNOWN EFFECT: error: .*exit 1", r"escalated \(no_data\)"], []),
    ("no data", 'if observe(shell.gone()) > 1 then no_action "x" end', 3, ["UNKNOWN \\(error: exit 1", r"escalated \(no_data\)"], []),
    ("an answer without a schema", 'local v = observe(shell.more())\nif v.a.b == 1 then no_action "one" end', 0, ["1 == 1: yes"], []),
    ("the same after a change", CHANGE.replace('resolve "done"', 'local v = observe(shell.more())\n'
     'if v.a.b == 1 then escalate "one" end\nresolve "x"') % "", 0, ["more"], []),
    ("more ways than are followed", CHANGE.replace('resolve "done"', "local t = {}\n" + "\n".join(
        f"if observe(shell.load()) > {i} then t[{i}] = true end" for i in range(14)) + '\nresolve(#t .. "")') % "", 0,
     ["not explored: the rest, because of the bound on paths"], []),
    ("a wait before any change", 'local ok = wait_until("calm", { within = "1h" }, function() return observe(shell.load()) < 5 end)\n'
     'if ok then resolve "calm" end\nescalate "busy"', 0, [r"calm: it happens|< 5", r"resolved", r"escalated \(runbook\)"], []),
    ("a question", 'local c = ask("which?", { "left", "right" })\nif c == "left" then no_action "l" end\nescalate "r"', 0,
     ['"left" -> no_action', '"right" -> escalated', r"nobody answers -> escalated \(expired\)"], []),
    ("for a while", 'temporarily("nine for a while", shell.set_workers { n = 9 }, { within = "20m" }, function() sleep "5m" end)\n'
     'resolve "x"', 0, [r"3 -> 9", "put back after 20 min at the latest"], []),
    ("a secret stays one", 'observe(shell.leak())\nno_action "x"', 0, ["leak"], ["hunter2"]),
    ("it falls off the end", 'local x = 1', 3, [r"escalated \(fell_off_end\)"], []),
    ("an error of the code", 'local x = nil\nno_action(x.y)', 3, [r"escalated \(error\)"], []),
    ("a plan of nobody's target", 'remedy("s", api.set_size { n = 9 }, { verify = "applied" })\nresolve "x"', 0, [r"4 -> 9"], []),
]
BAD = [
    ("no runbook", ["plan", "nope.md"], "nope.md"), ("an unknown parameter", ["plan", "t.md", "-p", "a=b"], "no parameter 'a'|'a'"),
    ("no alert", ["plan", "t.md", "--alert", "nope.json"], "--alert"), ("an alert that is none", ["plan", "t.md", "--alert", "t.md"],
     "--alert"),
    ("a form that is none", ["plan", "t.md", "-o", "html"], "text or json"), ("no such commit", ["plan", "t.md", "--at", "nope"],
     "nope|repository"),
    ("an option that is none", ["plan", "t.md", "--strikt"], "did you mean '--strict'"),
]


class Ways:
    def __init__(self, program, scratch):
        self.size, self.dir = 4, scratch / "ways"
        self.server = stand.Server(self.answer)
        config = CONFIG.format(url=self.server.url, dir=self.dir).replace("  other: { plugin: nothing }\n", "")
        self.box = stand.Box(program, self.dir, config, "[shell, api]")
        (self.dir / "midwatch.yaml").chmod(0o600)
        for name, text in (("load", "7.5\n"), ("workers", "3\n"), ("token", "hunter2hunter2\n")):
            (self.dir / name).write_text(text)
        (self.dir / "token").chmod(0o600)

    def answer(self, request):
        if request["method"] != "GET":
            self.size = json.loads(request["body"])["n"]
        return stand.answer_json({"n": self.size})

    def world(self):
        names = {p.name for p in self.dir.iterdir() if p.name not in ("t.md",) and not p.name.startswith("state")}
        return names, (self.dir / "workers").read_text(), self.size

    def plan(self, code, *words, front=MAY, state="state0"):
        text = f"---\nrunbook: t\nsummary: a test\nuses: [shell, api]\n{front}---\n# T\n\n```lua\n{code}\n```\n"
        (self.dir / "t.md").write_text(text)
        return self.box.command("plan", "t.md", "--state", self.dir / state, *words)

    def way(self, name, code, exit_code, says, never):
        before = self.world()
        front = "" if name == "the operator says no" else MAY
        if name == "beyond what it may":
            front = MAY.replace("  - { effect: api.set_size, target: pool }\n", "")
        got = self.plan(code, front=front)
        wrong = stand.expect(got, exit_code, *says)
        if wrong:
            return wrong + "\n" + got[1][-1500:]
        for word in never:
            if re.search(word, got[1] + got[2]):
                return f"it says /{word}/: {got[1][-1500:]}"
        return "the world has changed" if self.world() != before else None


def as_json(got):
    return json.loads(got[1])


def equal_plans(w):
    one, two = (as_json(w.plan(PROVEN % "", "-o", "json")) for _ in range(2))
    if one != two:
        return "two plans of one world differ"
    (w.dir / "load").write_text("8.5\n")
    if as_json(w.plan(PROVEN % "", "-o", "json"))["plan_id"] != one["plan_id"]:
        return "what was looked at is in the plan_id"
    (w.dir / "workers").write_text("4\n")
    other = as_json(w.plan(PROVEN % "", "-o", "json"))["plan_id"]
    (w.dir / "workers").write_text("3\n")
    (w.dir / "load").write_text("7.5\n")
    if other == one["plan_id"]:
        return "what is there before is not in the plan_id"
    changed = as_json(w.plan(PROVEN.replace('"10m"', '"11m"') % "", "-o", "json"))["plan_id"]
    return "the sources are not in the plan_id" if changed == one["plan_id"] else None


def pinned_as_the_run(w):
    planned = as_json(w.plan('no_action "x"', "-o", "json", state="state1"))["bundle"]
    w.box.command("run", "t.md", "--state", w.dir / "state1")
    with contextlib.closing(sqlite3.connect(f"file:{w.dir}/state1/journal.db?mode=ro", uri=True)) as db:
        found = db.execute("SELECT bundle FROM run").fetchall()
    return None if found == [(planned,)] else f"the plan is of {planned}, the run of {found}"


def strict(w):
    unknown = 'remedy("k", shell.kick(), { verify = "applied" })\nresolve "x"'
    got = w.plan(unknown)
    return stand.expect(got, 0, "UNKNOWN EFFECT") or stand.expect(w.plan(unknown, "--strict"), 6, "UNKNOWN EFFECT") or stand.expect(
        w.plan(CHANGE % "", "--strict"), 0)


def halted(w):
    w.box.command("halt", "a test", "--state", w.dir / "state2")
    got = stand.expect(w.plan(CHANGE % "", state="state2"), 4, "REFUSED: halted", r"escalated \(halted\)")
    w.box.command("halt", "--release", "--state", w.dir / "state2")
    return got or stand.expect(w.plan(CHANGE % "", state="state2"), 0, "1 effect to make")


def cooling(w):
    w.plan(CHANGE % "")
    ran = w.box.command("run", "t.md", "--state", w.dir / "state3")
    (w.dir / "workers").write_text("3\n")
    if ran[0]:
        return f"the run before: {ran[2]}"
    before = (w.dir / "state3/journal.db").read_bytes()
    wrong = stand.expect(w.plan(CHANGE % "", state="state3"), 4, "REFUSED: cooling_down: run 1 changed shell:workers", "cooling_down")
    return wrong or ("the journal was written" if (w.dir / "state3/journal.db").read_bytes() != before else None)


TWO = ('remedy("six", shell.set_workers { n = 6 }, { verify = "applied" })\n'
       'remedy("size", api.set_size { n = 9 }, { verify = "applied" })\nresolve "x"')
MAY_TWO = MAY + "  - { effect: api.set_size, target: pool }\n"


def one_target_too_many(w):
    return stand.expect(w.plan(TWO, front=MAY_TWO + "limits: { targets: 1 }\n"), 0, "REFUSED: over_budget: one run may change 1 target")


def one_remedy_too_many(w):
    return stand.expect(w.plan(TWO, front=MAY_TWO + "limits: { remedies: 1 }\n"), 0, "REFUSED: over_budget: one run may make 1 remed")


def frozen(w):
    config = w.dir / "frozen.yaml"
    config.write_text((w.dir / "midwatch.yaml").read_text() + FREEZE)
    config.chmod(0o600)
    return stand.expect(w.plan(CHANGE % "", "--config", config), 4, "REFUSED: frozen", r"escalated \(frozen\)")


def too_old_an_alert(w):
    """An alert that began long ago, where the operator bounds its age."""
    config, alert = w.dir / "stale.yaml", w.dir / "alert.json"
    config.write_text((w.dir / "midwatch.yaml").read_text() + STALE)
    config.chmod(0o600)
    alert.write_text(json.dumps({"alerts": [{"labels": {}, "startsAt": "2020-01-01T00:00:00Z"}]}))
    return stand.expect(w.plan(CHANGE % "", "--config", config, "--alert", alert), 4, "REFUSED: stale_trigger")


def at_a_commit(w):
    """What a commit has is planned, whatever the working tree has."""
    repo = w.dir / "repo"
    repo.mkdir()
    git = ["git", "-C", str(repo), "-c", "user.name=a", "-c", "user.email=a@b"]
    w.plan('no_action "x"')
    for words, text in ((["init", "-q"], None), (["add", "t.md"], (w.dir / "t.md").read_text()), (["commit", "-qm", "a"], None)):
        if text:
            (repo / "t.md").write_text(text)
        subprocess.run([*git, *words], check=True, stdin=subprocess.DEVNULL)
    (repo / "t.md").write_text("not a runbook")
    got = w.box.command("plan", "t.md", "--repo", repo, "--at", "HEAD")
    return stand.expect(got, 0, r"no_action \(runbook\)", r"Plan of t \(\S+ at [0-9a-f]{10}\)")


def beside_an_owner(w):
    """A run that holds the target and waits; the plan beside it says so."""
    code = ('remedy("more workers", shell.set_workers { n = 6 }, { verify = function() return observe(shell.load()) < 5 end,'
            ' within = "60s", every = "1s" })\nresolve "x"')
    w.plan(code)
    (w.dir / "state4").mkdir()
    (w.dir / "state4/t.md").write_text((w.dir / "t.md").read_text())
    owner = subprocess.Popen([str(w.box.program), "run", "state4/t.md", "--state", str(w.dir / "state4")], cwd=w.dir, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        stand.wait_for(lambda: (w.dir / "workers").read_text() == "6\n")
        time.sleep(0.5)
        return stand.expect(w.plan(CHANGE.replace("6", "8") % "", state="state4"), 4, "REFUSED: target_busy: run 1 holds shell:workers")
    finally:
        owner.kill()
        owner.wait()
        (w.dir / "workers").write_text("3\n")


def reads_once(w):
    """Two reads of one thing in the code, and twenty paths, are one request."""
    w.server.requests.clear()
    code = ('local a = observe(api.size())\nlocal c = ask("which?", { "1", "2", "3" })\nif observe(api.size()) == a then '
            'no_action "same" end\nescalate "it moved"')
    got = w.plan(code)
    n = len(w.server.requests)
    return stand.expect(got, 0, "no_action") or (f"{n} requests" if n != 1 else None)


def slow_server(w):
    """A source that does not answer in time is unknown, and the plan is made."""
    real, w.server.answer = w.server.answer, lambda _: 40
    try:
        begun = time.monotonic()
        got = w.plan('if observe(api.size()) > 1 then no_action "x" end')
        return stand.expect(got, 3, "UNKNOWN") or ("it waited too long" if time.monotonic() - begun > stand.patience(35) else None)
    finally:
        w.server.answer = real


ALONE = [("equal plans have equal ids", equal_plans), ("the plan is of what the run is pinned to", pinned_as_the_run),
         ("strict", strict), ("halt", halted), ("cooldown", cooling), ("beside an owner", beside_an_owner),
         ("limits.targets", one_target_too_many), ("limits.remedies", one_remedy_too_many), ("a freeze", frozen),
         ("an alert that is too old", too_old_an_alert), ("at a commit", at_a_commit),
         ("a read is made once", reads_once), ("a source that is silent", slow_server)]


def cases(program, scratch, only):
    w = Ways(program, scratch)
    for name, code, exit_code, says, never in WAYS:
        if only in name:
            yield name, w.way(name, code, exit_code, says, never)
    for name, check in ALONE:
        if only in name:
            yield name, check(w)
    w.plan('no_action "x"')
    for name, words, says in BAD:
        if only in name:
            yield "bad: " + name, stand.expect(w.box.command(*words), 2, says)
    yield "bad: code that is none", stand.expect(w.plan("if then"), 2, r"t\.md:\d+")
    yield "bad: a configuration that is none", stand.expect(w.box.command("plan", "t.md", "--config", "nope.yaml"), 2, "nope.yaml")
    left = [p.name for p in w.dir.iterdir() if p.name.startswith("state0")]
    yield "nothing is written", f"{left}" if left else None
    w.server.close()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    stand.main(__doc__, cases)
