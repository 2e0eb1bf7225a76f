#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plugins that are processes, and everything such a process can do wrong: each ends in one clear error, in no wrong
claim about the world, and in no process that outlives the run.

Prints `ok - name` or `not ok - name: why` per case."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import time

import stand

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery"
DECLARATION = {
    "abi": 1, "name": "evil", "settings": {"mode": "string", "token": "secret"},
    "reads": {"value": {"returns": "integer", "timeout": 3},
              "record": {"returns": {"list": {"name": "string", "size": "integer?"}}}},
    "effects": {"put": {"args": ["value"], "params": {"value": "integer >= 0"}, "class": "ensure", "target": "value/it",
                        "timeout": 1, "want": {"value": "{{value}}"}}}}

# The plugin: its world is a file beside it, and every apply leaves a line in another.
PLUGIN = r'''#!/usr/bin/env python3
import json, os, pathlib, subprocess, sys, time
HERE = pathlib.Path(__file__).parent
world, applies = HERE / "world", HERE / "applies"
mode, token = "", ""

def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

def answer(call, **more):
    say(json.dumps({"id": call["id"], **more}))

def value():
    return int(world.read_text())

def on_read(call):
    if mode == "hangs": time.sleep(60)
    if mode == "dies": sys.exit(7)
    if mode == "dies with words": sys.exit("out of cheese " + token)
    if mode == "is killed": os.kill(os.getpid(), 9)
    if mode == "lies": return answer(call, value="five")
    if mode == "lies with null": return answer(call, value=None)
    if mode == "adds a field": return answer(call, value=5, extra=1)
    if mode == "answers twice": answer(call, value=5)
    if mode == "wrong id": return answer({"id": 99}, value=5)
    if mode == "no id": return say('{"value": 5}')
    if mode == "prints garbage": return say("Traceback (most recent call last): \x1b[31m")
    if mode == "prints bad UTF-8":
        sys.stdout.buffer.write(b'{"id": 3, "value": "\xff"}\n'); sys.stdout.buffer.flush(); return None
    if mode == "nests deeply": return say('{"id":3,"value":' + "[" * 5000 + "]" * 5000 + "}")
    if mode == "floods its output":
        while True: say('{"id": 77}' * 1000)
    if mode == "prints one endless line":
        while True: sys.stdout.write("x" * 65536)
    if mode == "floods stderr":
        while True: sys.stderr.write("x" * 65536)
    if mode == "closes its output":
        os.close(1); time.sleep(60)
    if mode == "closes its input":
        os.close(0); answer(call, value=5); time.sleep(60)
    if mode == "forks":
        subprocess.Popen(["sleep", "60"]); sys.exit(3)
    if mode == "cuts a secret": sys.exit("x" * 180 + token + "y" * 5000)
    if mode == "prints a secret": return say("x" * 50 + token)
    if mode == "says a secret":
        sys.stderr.write(token + "\n"); sys.stderr.flush()
        return answer(call, unknown="error", why="the password " + token + " is wrong")
    if call["verb"] == "record": return answer(call, value=[{"name": "a", "size": 1}, {"name": "b"}])
    return answer(call, value=value())

def on_apply(call):
    with applies.open("a") as f: f.write(json.dumps(call["to"]) + "\n")
    n = len(applies.read_text().splitlines())
    if mode == "dies before": sys.exit(1)
    if mode == "dies before, once" and n == 1: sys.exit(1)
    if mode == "hangs before": time.sleep(60)
    if mode == "refuses": return answer(call, outcome="refused", why="not on a Friday")
    if mode == "says error": return answer(call, error="it may have happened")
    if mode == "claims it": return answer(call, outcome="sent")
    world.write_text(str(call["to"]["value"]))
    if mode == "dies after": sys.exit(1)
    if mode == "is slow": time.sleep(1)
    if mode == "hangs after": time.sleep(60)
    if mode == "garbage after": say("done!")
    if mode == "nonsense after": return answer(call, outcome="done")
    return answer(call, outcome="sent")

declaration = json.loads((HERE / "evil.json").read_text())
for line in sys.stdin:
    call = json.loads(line)
    kind = call["call"]
    if kind == "describe":
        start = (HERE / "start").read_text()
        if start == "never introduces itself": time.sleep(60)
        if start == "describes something else": declaration["effects"]["put"]["class"] = "keyed"
        if start == "dies at once": sys.exit("no libfoo")
        answer(call, value=declaration)
    elif kind == "configure":
        mode, token = call["settings"]["mode"], call["settings"].get("token", "")
        if mode == "does not like its settings": answer(call, error="mode: what is that?")
        else: answer(call, value=True)
    elif kind == "read": on_read(call)
    elif kind == "state": answer(call, value={"value": value()})
    elif kind == "apply": on_apply(call)
'''

READ = 'local v = observe(evil.value())\nresolve("it is " .. v)'
PUT = """remedy("put", evil.put(5), { verify = function() return observe(evil.value()) == 5 end, within = "3s", every = "1s" })
resolve "it is five" """
BOOK = """---
runbook: t
summary: a test
uses: {{ evil: it }}
may: [ {{ effect: evil.put, target: "value/it" }} ]
---
# T

```lua
{code}
```
"""

# mode, what the run must say; every one of them is an unknown observation
READS = {
    "hangs": r"no answer within the time",
    "dies": r"plugin evil: it ended with exit code 7",
    "dies with words": r"exit code 1; it said: out of cheese \*\*\*",
    "is killed": r"ended by signal 9",
    "lies": r"answer to value breaks its word: value must be integer",
    "lies with null": r"no answer",
    "adds a field": r"'extra' is in no answer",
    "wrong id": r"answered call 99, which nobody made",
    "no id": r"something without an id",
    "prints garbage": r"no answer: Traceback",
    "prints bad UTF-8": r"what is no answer",
    "nests deeply": r"what is no answer",
    "floods its output": r"what is no answer|floods",
    "prints one endless line": r"line of more than|floods",
    "floods stderr": r"floods stderr",
    "closes its output": r"closed its output",
    "forks": r"ended with exit code 3",
    "cuts a secret": r"exit code 1; it said: x{180}\*\*\*",
    "prints a secret": r"what is no answer: x{50}\*\*\*",
    "says a secret": r"the password \*\*\* is wrong",
    "does not like its settings": r"mode: what is that\?",
}
# how it starts, what the run must say
STARTS = {
    "describes something else": r"describes itself otherwise",
    "dies at once": r"exit code 1; it said: no libfoo",
    "never introduces itself": r"did not describe itself within 10 s",
}
# mode, exit code, what must be said, times that it was asked to apply, the value afterwards
EFFECTS = {
    "good": (0, r"it is five", 1, 5),
    "dies after": (0, r"it is five", 1, 5),
    "hangs after": (0, r"it is five", 1, 5),
    "garbage after": (0, r"it is five", 1, 5),
    "nonsense after": (0, r"it is five", 1, 5),
    "dies before": (3, r"(?i)did not arrive", 2, 1),
    "dies before, once": (0, r"it is five", 2, 5),
    "hangs before": (3, r"(?i)did not arrive", 2, 1),
    "refuses": (3, r"not on a Friday", 1, 1),
    "says error": (3, r"(?i)did not arrive", 2, 1),
    "claims it": (3, r"(?i)did not arrive", 2, 1),
}


class Box:
    def __init__(self, program, path, mode, code, start="", source="file: token", bound="evil"):
        self.program, self.path = program, path
        plugins = path / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "evil.json").write_text(json.dumps(DECLARATION))
        (plugins / "evil").write_text(PLUGIN)
        (plugins / "evil").chmod(0o755)
        (plugins / "world").write_text("1")
        (plugins / "start").write_text(start)
        (path / "token").write_text(SECRET + "\n")
        (path / "token").chmod(0o600)
        (path / "t.md").write_text(BOOK.format(code=code))
        (path / "midwatch.yaml").write_text(
            f'plugins: plugins\nsecrets: {{ token: {{ {source}, programs: [{bound}] }} }}\n'
            f'instances: {{ it: {{ plugin: evil, mode: "{mode}", token: token }} }}\n')

    def run(self, *words):
        p = subprocess.run([str(self.program), *words], cwd=self.path, text=True, capture_output=True, timeout=stand.patience(60), check=False,
                           env={**os.environ, "HOME": str(self.path), "MIDWATCH_STATE": "s"})
        return p.returncode, p.stdout + p.stderr

    def applies(self):
        log = self.path / "plugins" / "applies"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def leftovers(self):
        """Processes that still have the plugin's directory in their command line."""
        found = []
        for proc in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.path / "plugins").encode() in proc.read_bytes():
                    found.append(proc.parent.name)
            except OSError:
                pass
        return found

    def leaks(self):
        return [f.name for f in self.path.rglob("*") if f.is_file() and f.name != "token" and SECRET[:6].encode() in f.read_bytes()]


def wrong(box, got, code, pattern):
    """What is wrong with a run, or None."""
    shown = got[1] + box.run("show", "1")[1]
    if got[0] != code:
        return f"exit {got[0]} instead of {code}: {shown[-700:]}"
    if not re.search(pattern, shown):
        return f"no /{pattern}/ in: {shown[-700:]}"
    if "Sanitizer" in shown:
        return shown[-3000:]
    if SECRET[:6] in shown or box.leaks():
        return f"the secret is seen: {box.leaks()}"
    return f"processes are left: {box.leftovers()}" if box.leftovers() else None


def case_read(program, path, mode, pattern):
    box = Box(program, path, mode, READ)
    return wrong(box, box.run("run", "t.md"), 3, pattern)


def case_start(program, path, start, pattern):
    box = Box(program, path, "good", 'resolve("they are " .. #observe(evil.record()))', start)
    return wrong(box, box.run("run", "t.md"), 3, pattern)


def case_effect(program, path, mode, expected):
    code, pattern, applies, value = expected
    box = Box(program, path, mode, PUT)
    got = box.run("run", "t.md")
    why = wrong(box, got, code, pattern)
    if why:
        return why
    if box.applies() != applies:
        return f"asked to apply {box.applies()} times instead of {applies}: {got[1][-500:]}"
    return None if (box.path / "plugins/world").read_text() == str(value) else "the world is not as it must be"


def case_secret(program, path, source, bound, code, pattern):
    """A secret comes from wherever the configuration says, and goes to the programs that it is bound to."""
    box = Box(program, path, "dies with words", READ, source=source, bound=bound)
    return wrong(box, box.run("run", "t.md"), code, pattern)


SECRETS = {
    "of a command": ("command: [cat, token]", "evil", 3, r"it said: out of cheese \*\*\*"),
    "of a command that fails": ("command: [sh, -c, 'echo locked >&2; exit 2']", "evil", 3, r"secret 'token': sh ended with exit 2: locked"),
    "that is bound to another program": ("file: token", "psql", 3, r"secret 'token' is not for the program 'evil'"),
    "whose file is gone": ("file: gone", "evil", 3, r"gone"),
}


def case_again(program, path, mode, first, second):
    """A process that broke is started again by the next call."""
    code = f'local r = evil.value()\nlocal o = observe {{ a = r }}\nlocal p = observe {{ b = evil.record() }}\n' \
           f'if known(o, "a") == {first} and known(p, "b") == {second} then resolve "as expected" end'
    box = Box(program, path, mode, code)
    return wrong(box, box.run("run", "t.md"), 0, "as expected")


def case_record(program, path):
    box = Box(program, path, "good", 'local l = observe(evil.record())\nresolve(l[1].name .. #l .. tostring(l[2].size))')
    return wrong(box, box.run("run", "t.md"), 0, "a2nil")


def case_offline(program, path):
    """lint and test work from the declaration alone; replay from the bundle, even with the plugin gone."""
    box = Box(program, path, "good", PUT)
    (path / "t.test.yaml").write_text("""scenarios:
  - { name: done, given: { "evil.value()": { then: [1, 5] } }, expect: { effects: ["evil.put value/it"], outcome: resolved } }
""")
    why = wrong(box, box.run("run", "t.md"), 0, "it is five")
    (path / "plugins/evil").write_text("#!/bin/sh\ntouch started\n")
    for words in (["lint", "t.md"], ["test", "t.md"]):
        code, out = box.run(*words)
        why = why or (f"{words}: exit {code}: {out}" if code else None)
    for f in ("evil", "evil.json"):
        (path / "plugins" / f).unlink()
    code, out = box.run("replay", "1")
    why = why or (f"replay: exit {code}: {out}" if code else None)
    return why or ("the process was started" if (path / "started").exists() or (path / "plugins/started").exists() else None)


def case_killed(program, path):
    """Midwatch is killed while the process works on an effect: the resumed run reads back, and sends nothing again."""
    box = Box(program, path, "is slow", PUT)
    p = subprocess.Popen([str(program), "run", "t.md"], cwd=path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, "HOME": str(path), "MIDWATCH_STATE": "s"})
    stand.wait_for(lambda: (path / "plugins/world").read_text() == "5")
    p.kill()
    p.wait()
    time.sleep(1.2)         # the process ends with its input, once it has looked up
    why = wrong(box, box.run("resume", "1"), 0, r"outcome is UNKNOWN|it is five")
    return why or (None if box.applies() == 1 else f"asked to apply {box.applies()} times")


def case_orphan(program, path):
    """Midwatch is killed while the process hangs: it never looks at its input, and goes all the same."""
    box = Box(program, path, "hangs", READ)
    p = subprocess.Popen([str(program), "run", "t.md"], cwd=path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, "HOME": str(path), "MIDWATCH_STATE": "s"})
    stand.wait_for(box.leftovers)
    time.sleep(0.5)
    began = box.leftovers()
    p.kill()
    p.wait()
    time.sleep(0.3)
    left = box.leftovers()
    for pid in left:
        os.kill(int(pid), 9)
    return (f"{left} outlive it" if left else None) if began else "it did not begin"


def case_program(program, path, change, pattern):
    """A program that may not be run is an error before anything begins."""
    box = Box(program, path, "good", READ)
    change(path / "plugins")
    code, out = box.run("run", "t.md")
    return None if code == 2 and re.search(pattern, out) else f"exit {code}, no /{pattern}/: {out[-500:]}"


def rewrite(**changes):
    def change(plugins):
        declared = json.loads(json.dumps(DECLARATION))
        for where, value in changes.items():
            at = declared
            *path, last = where.split("__")
            for key in path:
                at = at[key]
            at[last] = value
        (plugins / "evil.json").write_text(json.dumps(declared))
    return change


PROGRAMS = {
    "program that is missing": (lambda p: (p / "evil").unlink(), r"plugin evil: its program is neither"),
    "program without a declaration": (lambda p: (p / "evil.json").unlink(), r"no declaration \(midwatch plugin describe "),
    "program that is not executable": (lambda p: (p / "evil").chmod(0o644), r"evil: not executable \(chmod \+x\)"),
    "program that anybody may write": (lambda p: (p / "evil").chmod(0o757), r"anybody may write it"),
    "declaration that is no JSON": (lambda p: (p / "evil.json").write_text("{"), r"plugin evil: "),
    "declaration of another abi": (rewrite(abi=2), r"speaks abi 1, the plugin 2"),
    "declaration of another name": (rewrite(name="good"), r"calls itself 'good'"),
    "declaration with a misspelt class": (rewrite(effects__put__class="ensur"), r"effects\.put\.class.*did you mean 'ensure'"),
    "declaration whose plan is a word": (rewrite(plan="yes"), r"plan: must be true or false"),
    "declaration with a misspelt key": (rewrite(reads__value__retruns="x"), r"retruns.*did you mean 'returns'"),
    "declaration with a bad schema": (rewrite(effects__put__params__value="integre"),
                                      r"effects\.put\.params\.value.*did you mean 'integer'"),
    "declaration with a bad want": (rewrite(effects__put__want={"value": "{{valu}}"}), r"want\.value: \{\{valu\}\} is no argument"),
    "declaration with a bad target": (rewrite(effects__put__target="v/{{x}}"), r"effects\.put\.target: \{\{x\}\} is no argument"),
    "setting that is not declared": (rewrite(settings={"mod": "string", "token": "secret"}), r"no setting 'mode'.*did you mean 'mod'"),
}


def case_contract(program, _, plugin, passed):
    p = subprocess.run([str(program), "plugin", "test", str(ROOT / "plugins/examples" / plugin)], text=True, capture_output=True,
                       timeout=stand.patience(60), check=False)
    return None if p.returncode == 0 and p.stdout.endswith(f"{passed} passed, 0 failed\n") else p.stdout + p.stderr


def case_contract_fails(program, path, mode, pattern):
    """The kit finds what a plugin does wrong."""
    box = Box(program, path, mode, READ)
    (path / "plugins/evil.plugin-test.yaml").write_text(f"""settings: {{ mode: "{mode}" }}
reads: [ {{ read: value, value: 1 }}, {{ read: record }} ]
effects: [ {{ effect: put, args: {{ value: 5 }} }} ]
""")
    code, out = box.run("plugin", "test", "plugins/evil")
    return None if code == 2 and re.search(pattern, out) else f"exit {code}, no /{pattern}/: {out[-900:]}"


CONTRACTS = {
    "lies": r"not ok - read value: .*value must be integer",
    "claims it": r'not ok - effect put: its state afterwards: \{"value":1\} instead of \{"value":5\}',
    "dies before": r"not ok - effect put: it answered .*unknown",
}


def case_contract_declared(program, path):
    """A declaration that does not hold is told as one."""
    box = Box(program, path, "good", READ)
    rewrite(effects__put__class="ensur")(path / "plugins")
    (path / "plugins/evil.plugin-test.yaml").write_text("settings: { mode: good }\n")
    code, out = box.run("plugin", "test", "plugins/evil")
    return None if code == 2 and re.search(r"not ok - declaration: .*class", out) else f"exit {code}: {out}"


PLANNED = """local v = observe(evil.value())
if v > 3 then no_action "it is large" end
remedy("put", evil.put(5), { verify = "applied" })
resolve "it is five"
"""


def case_plan_unasked(program, path):
    """A plan asks no program that does not say that it may: its answers are not known, and --strict says so."""
    box = Box(program, path, "good", PLANNED)
    (path / "plugins/evil").write_text("#!/bin/sh\ntouch started\n")
    for words, code in ((["plan", "t.md"], 0), (["plan", "t.md", "--strict"], 6)):
        got = box.run(*words)
        for pattern in ("value.. > 3 -> no_action", r"UNKNOWN EFFECT: a plan may not ask what is there now", r"evil:value/it|it:value/it",
                        r'not explored: what it would answer: plugin evil does not say that a plan may ask it \("plan": true in evil.json\)'):
            if got[0] != code or not re.search(pattern, got[1]):
                return f"exit {got[0]}, no /{pattern}/: {got[1]}"
    started = list(path.rglob("started"))
    return f"it was started: {started}" if started else None


def case_plan_asked(program, path):
    """One that says so is asked, and told that it is a plan."""
    box = Box(program, path, "good", PLANNED)
    rewrite(plan=True)(path / "plugins")
    text = PLUGIN.replace('    elif kind == "configure":\n', '    elif kind == "configure":\n'
                          '        (HERE / "told").write_text(str(call.get("plan")))\n')
    (path / "plugins/evil").write_text(text)
    code, out = box.run("plan", "t.md", "--strict")
    told = (path / "plugins/told").read_text()
    if code or not re.search(r"1 > 3: no", out) or "1 -> 5" not in out or told != "True" or box.applies():
        return f"exit {code}, told {told}, {box.applies()} applied: {out}"
    box.run("run", "t.md")
    told = (path / "plugins/told").read_text()
    return None if told == "None" and box.applies() == 1 else f"a run tells it {told}"


def every(program, box):
    yield "a plan and a process that does not say that it may be asked", case_plan_unasked, (program, box())
    yield "a plan and a process that may be asked", case_plan_asked, (program, box())
    for mode, pattern in READS.items():
        yield f"a read of a process that {mode}", case_read, (program, box(), mode, pattern)
    for start, pattern in STARTS.items():
        yield f"a process that {start}", case_start, (program, box(), start, pattern)
    for mode, expected in EFFECTS.items():
        yield f"an effect of a process that {mode}", case_effect, (program, box(), mode, expected)
    for name, more in SECRETS.items():
        yield f"a secret {name}", case_secret, (program, box(), *more)
    for name, (change, pattern) in PROGRAMS.items():
        yield f"a {name}", case_program, (program, box(), change, pattern)
    for plugin, passed in (("flags", 8), ("maintenance.lua", 10)):
        yield f"plugin test {plugin}", case_contract, (program, box(), plugin, passed)
    for mode, pattern in CONTRACTS.items():
        yield f"plugin test of a process that {mode}", case_contract_fails, (program, box(), mode, pattern)
    yield "plugin test of a bad declaration", case_contract_declared, (program, box())
    yield "answers twice, then once more", case_again, (program, box(), "answers twice", "true", "false")
    yield "midwatch is killed in the middle of an effect", case_killed, (program, box())
    yield "midwatch is killed while a process hangs", case_orphan, (program, box())
    yield "records with optional fields", case_record, (program, box())
    yield "lint, test and replay start no process", case_offline, (program, box())


def tried(job):
    try:
        return job.result()
    except Exception as bad:  # pylint: disable=broad-except
        return repr(bad)


def cases(program, scratch, _):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        n = iter(range(1000))
        jobs = [(name, pool.submit(fn, *args)) for name, fn, args in every(program, lambda: scratch / str(next(n)))]
        yield from ((name, tried(job)) for name, job in jobs)


if __name__ == "__main__":
    stand.main(__doc__, cases)
