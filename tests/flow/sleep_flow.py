#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs that wait are rows: `resume --all` takes up what a dead owner left, wakes what is due, hands answers on, and sets
a run aside that ends the process twice at one place, or whose code says something else than its rows. So do `run` and
`resume RUN`. The stuck loop and the crash are real: a C function under Lua's `<` (tests/crash/stuck.c) does not return."""
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import time

import stand

CONFIG = """instances: { sh: { plugin: shell } }
commands:
  one: { argv: [/bin/echo, hi], read: { returns: string } }
  workers: { argv: [cat, workers], read: { returns: integer } }
  set_workers: { argv: [sh, -c, 'sleep 2; echo "$1" >workers', sh, "{{n}}"], params: { n: { type: integer, max: 9 } },
                 effect: { class: ensure, target: pool, state: workers, sets: n } }
  lose: { argv: [sh, -c, 'kill -9 $$'], effect: { class: never_twice, target: gone, undo: not needed } }
"""
BOOK = "---\nrunbook: {name}\nsummary: a test\nuses: {{ shell: sh }}\n{front}---\n# T\n\n```lua\n{code}\n```\n"
BOOKS = {
    "nap": 'sleep "3s" note "awake" no_action "slept"',
    "long": 'sleep "1h" no_action "slept"',
    "poll": 'wait_until("it", { every = "2500ms", within = "5s" }, function() return observe(shell.one()) == "x" end) no_action "polled"',
    "ask": 'local a = ask("which?", { "left", "right" }, { within = "1h" }) no_action("chose " .. a)',
    "stuck": 'observe(shell.one()) sleep "2s"\nif "stuck in C" < "x" then note "past" end\nno_action "through"',
    "slow": 'if "slow in C" < "x" then note "past" end\nno_action "through"',
    "waits": 'if "waits in C" < "x" then note "past" end\nno_action "through"',
    "one-of-many": 'observe(shell.one()) sleep "4s" note "a" note "b" note "c" remedy("set", shell.set_workers { n = 3 }, { verify = "applied" }) resolve "done"',
    "lost": 'remedy("lose", shell.lose(), { verify = "applied" }) resolve "settled"',
    "hurry": 'if "stuck in C" < "x" then note "past" end\nno_action "through"',
    "turned": 'if "turned in C" < "x" then note "one way" else note "the other way" end\nsleep "3s" no_action "slept"',
    "torn": 'if "turned in C" < "x" then note "one way" else note "the other way" end\nremedy("lose", shell.lose(), { verify = "applied" }) resolve "settled"',
    "crash": 'observe(shell.one()) sleep "2s"\nif "crash in C" < "x" then note "past" end\nno_action "through"',
}


FRONT = {
    "long": "escalate: { to: ops, after: 4s }\n",
    "lost": "may: [{ effect: shell.lose, target: gone }]\n",
    "torn": "may: [{ effect: shell.lose, target: gone }]\n",
    "one-of-many": 'may: [{ effect: shell.set_workers, target: pool }]\nlimits: { cooldown: 1h }\n',
}


class Night(stand.Box):
    """One journal with several runs."""

    def __init__(self, program, path):
        super().__init__(program, path, CONFIG, "{ shell: sh }")
        self.state = path / "state"
        for name, code in BOOKS.items():
            front = FRONT.get(name, "")
            (path / f"{name}.md").write_text(BOOK.format(name=name, code=code, front=front))

    def start(self, *words, env=None):
        out = (self.path / f"out{self.runs}").open("w+")
        self.runs += 1
        p = subprocess.Popen([str(self.program), *words, "--state", str(self.state)], cwd=self.path, stdin=subprocess.DEVNULL,
                             stdout=out, stderr=subprocess.STDOUT, text=True,
                             env={**os.environ, "MIDWATCH_STATE": "", "HOME": str(self.path), **(env or {})})
        p.output = out
        return p

    def killed(self, name):
        """A run whose owner is killed as soon as its first rows are durable."""
        before = len(self.runs_now())
        p = self.start("run", f"{name}.md")

        def begun():
            now = self.runs_now()
            return p.poll() is not None or len(now) > before and now[0]["rows"] > 1

        stand.wait_for(begun)
        p.send_signal(signal.SIGKILL)
        p.wait()
        return before + 1

    def inside(self):
        """The run that the owner is at work for now, and behind which line."""
        box = self.state / "inside"
        return struct.unpack_from("qi", box.read_bytes() if box.exists() and box.stat().st_size else bytes(16))

    def runs_now(self):
        code, out, _ = self.command("list", "-o", "json", "--state", self.state)
        return json.loads(out) if code == 0 else []

    def standing(self, run):
        return next(({r["state"], r["outcome"]} for r in self.runs_now() if r["id"] == run), set())

    def until(self, run, word, seconds=20):
        found = stand.wait_for(lambda: word in self.standing(run), seconds)
        return None if found else f"run {run} is {self.standing(run)}, not {word}"

    def end(self, p, seconds=30):
        try:
            code = p.wait(stand.patience(seconds))
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            code = "no end"
        p.output.seek(0)
        return code, p.output.read(), ""

    def replays(self, run):
        return stand.expect(self.command("replay", run, "--state", self.state), 0, "equal")


def waits(box):
    """Everything a dead owner left goes on; what waits is a row meanwhile; the journals replay."""
    nap, poll = box.killed("nap"), box.killed("poll")
    p = box.start("resume", "--all")
    wrong = box.until(nap, "waiting: time") or box.until(poll, "waiting: time")
    got = box.end(p)
    return (wrong or stand.expect(got, 0, "slept", "polled") or box.replays(nap) or box.replays(poll))


def answered(box):
    """A question that sleeps is answered by a command, and its run goes on; another is cancelled in its sleep."""
    box.killed("long")
    (box.path / "late.md").write_text(BOOK.format(name="late", front="", code='sleep "2s" ' + BOOKS["ask"]))
    box.killed("late")
    long, asked = 1, 2
    p = box.start("resume", "--all")
    wrong = box.until(asked, "waiting: person") or box.until(long, "waiting: time")
    time.sleep(0.5)
    if not wrong:
        wrong = stand.expect(box.command("answer", asked, "left", "--state", box.state), 0, "left")
    wrong = wrong or box.until(asked, "no_action")
    wrong = wrong or stand.expect(box.command("cancel", long, "--state", box.state), 0)
    got = box.end(p)
    return wrong or stand.expect(got, 7, "chose left", "cancelled") or box.replays(asked) or box.replays(long)


def settled(box):
    """Who executes all runs says that one waits for a person; the word on what is not known reaches them, and it goes on."""
    lost = stand.expect(box.command("run", "lost.md", "--state", box.state), 6, "settle 1 applied")
    lost = lost or stand.expect(box.end(box.start("resume", "--all")), 6, "no run goes on by itself", "open: run 1 .*; midwatch settle 1")
    box.killed("long")
    p = box.start("resume", "--all")
    wrong = lost or box.until(2, "waiting: time") or \
        stand.expect(box.command("settle", 1, "banana", "--state", box.state), 2, "'banana' is no answer") or \
        stand.expect(box.command("settle", 1, "applied", "--state", box.state), 0, "run 1: settled as applied by") or box.until(1, "resolved")
    p.send_signal(signal.SIGINT)
    box.end(p)
    return wrong or box.replays(1)


def dies_inside(box, run, line=9, seen=True):
    """Whoever executes all runs dies at work for this one, and sees that, or is killed from outside."""
    rows = len(box.rows(run))
    (box.state / "inside").write_bytes(struct.pack("qi64si", run, line, b"", seen))
    p = box.start("resume", "--all")
    stand.wait_for(lambda: len(box.rows(run)) != rows)
    p.send_signal(signal.SIGKILL)
    p.wait()


def asks_set_aside(box):
    """An answer to a run that is set aside does not let it go on: a person takes it up first."""
    (box.path / "late.md").write_text(BOOK.format(name="late", front="", code='sleep "2s" ' + BOOKS["ask"]))
    run = box.killed("late")
    p = box.start("resume", "--all")
    box.until(run, "waiting: person")
    p.send_signal(signal.SIGKILL)
    p.wait()
    for _ in range(2):
        dies_inside(box, run)
    wrong = box.until(run, "quarantined", 1) or \
        stand.expect(box.command("answer", run, "left", "--state", box.state), 2, "run 1 is set aside", "midwatch resume 1") or \
        box.until(run, "quarantined", 1)
    box.killed("long")
    p = box.start("resume", "--all")
    wrong = wrong or box.until(2, "waiting: time") or \
        stand.expect(box.command("answer", run, "left", "--state", box.state), 2, "run 1 is set aside") or box.until(run, "quarantined", 1)
    p.send_signal(signal.SIGINT)
    box.end(p)
    return wrong or box.replays(run)


def killed_apart(box):
    """Deaths at two places are not two at one place; and whoever is killed from outside need not have died of the run. A run
    that is set aside shows in the exit code, also where another ends well."""
    for name, how_long in (("still", "1h"), ("short", "1s")):
        (box.path / f"{name}.md").write_text(BOOK.format(name=name, front="", code=f'sleep "{how_long}" no_action "slept"'))
    run = box.killed("still")
    for line, seen in ((9, True), (0, True), (7, False), (7, False), (7, True), (7, False)):
        dies_inside(box, run, line, seen)
        if "quarantined" in box.standing(run):
            return f"set aside behind line {line}: {[r['kind'] for r in box.rows(run)]}"
    dies_inside(box, run, 7, False)
    wrong = box.until(run, "quarantined", 1) or \
        (None if "5 times at one place (behind line 7)" in json.dumps(box.rows(run)[-1]) else f"the last row is {box.rows(run)[-1]}")
    wrong = wrong or stand.expect(box.command("doctor", "--state", box.state), 0, "journal +1 open run, 0 waiting for a person, 1 quarantined")
    short = box.killed("short")
    return wrong or stand.expect(box.end(box.start("resume", "--all")), 5, f"run {short}  no_action",
                                 f"open: run {run} still is quarantined; midwatch resume {run}") or box.replays(run)


def escalated(box):
    """escalate.after comes while the run sleeps; Ctrl-C leaves it asleep."""
    long = box.killed("long")
    p = box.start("resume", "--all")
    stand.wait_for(lambda: "ESCALATION" in [r["kind"] for r in box.rows(long)], 15)
    p.send_signal(signal.SIGINT)
    got = box.end(p)
    return (stand.expect(got, 5, "longer than escalate.after") or box.until(long, "waiting: time", 2) or box.replays(long))


def set_aside(name, build):
    def case(box):
        run, nap = box.killed(name), box.killed("nap")
        p = box.start("resume", "--all", env=stand.preload(build, "stuck.so", MIDWATCH_TEST_STUCK_MS="700"))
        got = box.end(p)
        wrong = stand.expect(got, 5, "run 1 (does not come|ended the process) .*behind line 9; starting again", "set aside",
                             f"run {nap}  no_action")
        wrong = wrong or box.until(run, "quarantined", 1)
        kinds = [r["kind"] for r in box.rows(run)]
        if not wrong and (kinds.count("RESUME") != 2 or kinds[-1] != "QUARANTINE"):
            wrong = f"rows {kinds}"
        again = box.end(box.start("resume", "--all"))
        wrong = wrong or stand.expect(again, 5, "no run goes on by itself: 1 waits for a person",
                                      f"open: run {run} {name} is quarantined; midwatch resume {run}")
        wrong = wrong or stand.expect(box.command("resume", str(run), "--state", box.state), 0, "through")
        return wrong or box.replays(run)
    return case


def diverged(box, build):
    """The code comes to another row than the journal has: that run is set aside by name, the other goes on."""
    turned = stand.preload(build, "stuck.so", MIDWATCH_TEST_TURNED="1")
    run, nap = box.killed("turned"), box.killed("nap")
    got = box.end(box.start("resume", "--all", env=turned))
    wrong = stand.expect(got, 1, f"midwatch: run {run}: its journal contradicts its code, and it is set aside: .*one way",
                         f"evidence: .*/{run}.md", f"run {nap}  no_action")
    wrong = wrong or box.until(run, "quarantined", 1)
    kinds = [r["kind"] for r in box.rows(run)]
    if not wrong and (kinds.count("RESUME") != 1 or kinds[-1] != "QUARANTINE"):
        wrong = f"rows {kinds}"
    wrong = wrong or stand.expect(box.end(box.start("resume", "--all", env=turned)), 5, "no run goes on by itself")
    wrong = wrong or stand.expect(box.command("resume", run, "--state", box.state, env=turned), 1, "contradicts its code",
                                  f"settle {run} release")
    return (wrong or box.until(run, "quarantined", 1) or stand.expect(box.command("resume", run, "--state", box.state), 0, "slept")
            or box.replays(run))


def released(box, build):
    """Whose code has changed for good is ended by a person."""
    run = box.killed("turned")
    turned = stand.preload(build, "stuck.so", MIDWATCH_TEST_TURNED="1")
    box.end(box.start("resume", "--all", env=turned))
    return (stand.expect(box.command("settle", run, "release", "--state", box.state), 0) or box.until(run, "escalated", 1) or
            box.replays(run))


def settled_aside(box, build):
    """A word on an effect of a run that is set aside is none on why it is: it stays there until somebody takes it up."""
    turned = {"LD_PRELOAD": str(build / "stuck.so"), "MIDWATCH_TEST_TURNED": "1"}
    return (stand.expect(box.command("run", "torn.md", "--state", box.state), 6, "settle 1 applied") or
            stand.expect(box.command("resume", 1, "--state", box.state, env=turned), 1, "contradicts its code") or
            box.until(1, "quarantined", 1) or stand.expect(box.command("settle", 1, "applied", "--state", box.state), 0, "applied") or
            box.until(1, "quarantined", 1) or stand.expect(box.command("resume", 1, "--state", box.state), 0, "settled") or box.replays(1))


def alone(name, build):
    """`run` starts itself again as `resume`, and the second time the run is set aside; `resume RUN` takes it up."""
    def case(box):
        env = stand.preload(build, "stuck.so", MIDWATCH_TEST_STUCK_MS="700")
        got = box.end(box.start("run", f"{name}.md", env=env))
        wrong = stand.expect(got, 5, "run 1 (does not come|ended the process) .*behind line 9; starting again", "set aside",
                             "evidence: .*/1.md")
        wrong = wrong or box.until(1, "quarantined", 1)
        again = box.end(box.start("resume", "1", env=env))
        wrong = wrong or stand.expect(again, 5, "starting again", "set aside") or box.until(1, "quarantined", 1)
        wrong = wrong or stand.expect(box.command("resume", 1, "--state", box.state), 0, "through")
        return wrong or box.replays(1)
    return case


def unwritten(build):
    """Stuck before its first row is durable: there is no run, and that is said."""
    def case(box):
        env = stand.preload(build, "stuck.so", MIDWATCH_TEST_STUCK_MS="700")
        got = box.end(box.start("run", "hurry.md", env=env))
        return stand.expect(got, 1, "run 1 does not come to an end before its first look at the world; starting again",
                            "before anything of it was written: nothing was changed")
    return case


def frozen(build):
    """A process that is stopped while it works has not worked for long."""
    def case(box):
        p = box.start("run", "slow.md", env=stand.preload(build, "stuck.so", MIDWATCH_TEST_STUCK_MS="2000"))
        stand.wait_for(lambda: box.inside()[0] == 1)
        time.sleep(0.6)         # until it was looked at: from then on it counts
        p.send_signal(signal.SIGSTOP)
        time.sleep(3)
        p.send_signal(signal.SIGCONT)
        code, out, _ = got = box.end(p)
        return stand.expect(got, 0, "through") or ("it started again" if "starting again" in out else None)
    return case


def waiting(build):
    """Work that waits for what does not come takes no processor time, and is stuck all the same."""
    def case(box):
        env = stand.preload(build, "stuck.so", MIDWATCH_TEST_STUCK_MS="400")
        return stand.expect(box.end(box.start("run", "waits.md", env=env)), 1, "run 1 does not come to an end")
    return case


def without_directory(box, build):
    """A file system whose directories cannot be synced is one like any other: the log is synced."""
    env = stand.preload(build, "stuck.so", MIDWATCH_TEST_NO_DIRECTORY="1")
    return stand.expect(box.end(box.start("run", "nap.md", env=env)), 0, "slept") or box.replays(1)


def refused_together(box, build):
    """Runs that are refused one target side by side are told who holds it, while others are being written."""
    (box.path / "workers").write_text("1\n")
    runs = [box.killed("one-of-many") for _ in range(20)]
    env = stand.preload(build, "stuck.so", MIDWATCH_TEST_SYNC_MS="60")
    code, out, _ = got = box.end(box.start("resume", "--all", env=env))
    told = len(re.findall(r"target_busy|cooling_down", out))
    return stand.expect(got, 4, r"run \d+ (holds|changed) sh:pool") or (None if told >= 19 else f"{told} are refused: {out}") or \
        next((wrong for wrong in map(box.replays, runs) if wrong), None)


def inherited(box, build):
    """The strike is given by whoever executes next, whatever that is for; who executes nothing leaves it to them."""
    env = stand.preload(build, "stuck.so")
    p = box.start("run", "stuck.md", env=env)
    looks = []

    def stuck():                # so many looks in a row show the same: it does not move any more
        looks.append(box.inside() == (1, 9))
        return len(looks) >= 50 and all(looks[-50:])

    stand.wait_for(stuck)
    p.send_signal(signal.SIGKILL)
    p.wait()
    wrong = stand.expect(box.command("policy", "on", "nap", "--state", box.state), 2, "is not off")
    wrong = wrong or stand.expect(box.command("run", "nap.md", "--state", box.state), 0, "slept")
    last = box.rows(1)[-1]
    if not wrong and (last["kind"] != "RESUME" or "behind line 9" not in json.dumps(last)):
        wrong = f"the last row is {last}"
    return wrong or stand.expect(box.command("resume", 1, "--state", box.state), 0, "through") or box.replays(1)


def moved(box, build):
    """A journal that came from another machine says so; back on the same one it does not."""
    there = stand.preload(build, "stuck.so", MIDWATCH_TEST_MACHINE="elsewhere")
    run, nap = box.killed("turned"), box.killed("nap")
    got = box.command("resume", run, "--state", box.state, env=there)
    wrong = stand.expect(got, 0, f"run {run} was executed on .* until now; make sure", "slept")
    got = box.end(box.start("resume", "--all", env=there))
    wrong = wrong or stand.expect(got, 0, f"run {nap} was executed on .* until now; make sure", f"run {nap}  no_action")
    again = box.killed("turned")
    got = box.command("resume", again, "--state", box.state)
    return wrong or stand.expect(got, 0, "slept") or ("it says so of its own" if "was executed on" in got[2] else box.replays(run))


def cases(program, scratch, only):
    build = pathlib.Path(program).parent
    for name, case in (("runs of a dead owner go on, and are rows while they wait", waits),
                       ("a sleeping run is answered, another cancelled", answered),
                       ("a word on an effect reaches whoever executes all runs", settled),
                       ("whoever answers a run that is set aside does not let it go on", asks_set_aside),
                       ("deaths at two places, or from outside, set no run aside", killed_apart),
                       ("escalate.after reaches a sleeping run; an interrupt leaves it asleep", escalated),
                       ("a run that does not come to an end is set aside, the others go on", set_aside("stuck", build)),
                       ("a run that crashes the process is set aside, the others go on", set_aside("crash", build)),
                       ("a run whose code says something else than its rows is set aside, the others go on",
                        lambda box: diverged(box, build)),
                       ("such a run is ended by a person", lambda box: released(box, build)),
                       ("a word on its effect leaves it set aside", lambda box: settled_aside(box, build)),
                       ("run: a stuck loop is set aside", alone("stuck", build)),
                       ("run: a crash is set aside", alone("crash", build)),
                       ("a run of another machine's journal says so", lambda box: moved(box, build)),
                       ("run: stuck before anything of it was written", unwritten(build)),
                       ("run: stopped for longer than it may be stuck", frozen(build)),
                       ("run: a call that waits for ever is set aside", waiting(build)),
                       ("many runs are refused one target at once", lambda box: refused_together(box, build)),
                       ("a directory that cannot be synced", lambda box: without_directory(box, build)),
                       ("whoever executes next gives the strike", lambda box: inherited(box, build))):
        if only in name:
            yield name, case(Night(program, scratch / name[:20].replace(" ", "-").replace(",", "") / str(len(name))))


if __name__ == "__main__":
    stand.main(__doc__, cases)
