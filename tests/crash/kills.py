# SPDX-License-Identifier: Apache-2.0
"""Real processes killed at random: `midwatch run`, kill -9, `midwatch resume`, until it has ended. The change is a program
that writes a log, which is the world; what that log says tells whether a run was lost, a change
doubled, or something happened in silence."""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import tempfile
import time

ENDS_WITHIN_S = 120
WORKERS = 48            # they mostly wait for the grace of an effect whose answer is lost
CONFIG = """commands:
  size: {{ argv: [tail, -n, "1", {world}/log], read: {{ returns: integer }} }}
  set_size: {{ argv: [{world}/set, "{{{{n}}}}"], params: {{ n: {{ type: integer, max: 9 }} }},
              timeout: 1s, effect: {{ class: ensure, target: pool, state: size, sets: n }} }}
"""
# One write, so that a program killed with its midwatch has made the change or not.
SET = """#!/bin/sh
echo "$1" >> {world}/log
"""
RUNBOOK = """---
runbook: kill-flow
summary: one change, for the loop that kills real processes
params: { n: { type: integer, min: 1, max: 9 } }
uses: [shell]
may: [ { effect: shell.set_size, target: pool } ]
limits: { cooldown: 0s }
---
# Size
```lua
note("from " .. observe(shell.size()))
remedy("set the size", shell.set_size { n = params.n }, { verify = "applied" })
resolve "set"
```
"""


class Loop:
    """Runs after runs in one world; counts kills, and what is lost, doubled and silent."""

    def __init__(self, program, directory, seed):
        self.program, self.directory, self.random = program, directory, random.Random(seed)
        self.world, self.kill_within_s, self.size = directory / "world", 0.1, 3
        self.said = ""              # by the last process that ended by itself
        self.kills, self.wrong, self.counts = 0, [], {"lost": 0, "doubled": 0, "silent": 0}
        self.world.mkdir()
        for path, text, mode in [("midwatch.yaml", CONFIG, 0o600), ("kill-flow.md", None, 0o600), ("world/set", SET, 0o700),
                                 ("world/log", "3\n", 0o600)]:
            (directory / path).write_text(RUNBOOK if text is None else text.format(world=self.world))
            (directory / path).chmod(mode)

    def midwatch(self, *words, kill_after=None):
        """True if it ended by itself."""
        argv = [str(self.program), *words, "--config", "midwatch.yaml", "--state", "state"]
        with subprocess.Popen(argv, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as p:
            try:
                self.said = p.communicate(timeout=ENDS_WITHIN_S if kill_after is None else kill_after)[1]
                return True
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                self.kills += 1
                return False

    def newest(self):
        """(id, outcome, "" while it has not ended) of the newest run, straight from the file as a kill left it."""
        file = self.directory / "state" / "journal.db"
        if not file.exists():
            return (0, "")
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=20)) as db:
            try:
                return db.execute("select id, outcome from run order by id desc limit 1").fetchone() or (0, "")
            except sqlite3.OperationalError:        # killed before the first table was there
                return (0, "")

    def attempt(self, last, wanted, kill_after):
        """One process. True if nothing is left to do."""
        run, outcome = self.newest()
        if run > last and outcome:
            return True
        words = ("resume", str(run)) if run > last else ("run", "kill-flow.md", "-p", f"n={wanted}")
        begun = time.monotonic()
        if self.midwatch(*words, kill_after=kill_after):
            self.kill_within_s = min(0.3, max(0.005, 0.8 * self.kill_within_s + 0.2 * (time.monotonic() - begun)))
        return False

    def one(self, number):
        """One run, killed up to three times, and what the world says of it afterwards."""
        before, wanted = len(self.log()), self.size % 8 + 1     # always another size: each run has one change to make
        last = self.newest()[0]
        for kill_after in [self.random.uniform(0, 1.1 * self.kill_within_s) for _ in range(self.random.randint(1, 3))] + [None] * 6:
            if self.attempt(last, wanted, kill_after):
                break
        run, outcome = self.newest()
        changes, self.size = self.log()[before:], int(self.log()[-1])
        if run <= last or not outcome:
            self.count("lost", f"run {number} did not end: {self.shown(run)}")
        elif len(changes) > 1:
            self.count("doubled", f"run {number} made the changes {changes}")
        elif (outcome, self.size, changes) != ("resolved", wanted, [str(wanted)]):
            self.count("silent", f"run {number} ended {outcome}; the world shows {self.size} after {changes}, not {wanted}")

    def shown(self, run):
        """What the program says of a run, the end of it."""
        p = subprocess.run([self.program, "show", str(run), "--state", "state"], cwd=self.directory, text=True,
                           capture_output=True, check=False, timeout=ENDS_WITHIN_S)
        return (p.stdout + p.stderr)[-1500:] + self.said

    def log(self):
        return (self.world / "log").read_text().split()

    def count(self, kind, text):
        self.counts[kind] += 1
        self.wrong.append(f"{kind}: {text}")


def work(program, count, seed):
    """So many kills in a world of its own. (kills, runs, counts, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix="midwatch-kills-") as scratch:
        loop, number = Loop(program, pathlib.Path(scratch), seed), 0
        while loop.kills < count and len(loop.wrong) < 5:
            loop.one(number)
            number += 1
        return loop.kills, number, loop.counts, loop.wrong


def kill_many(build, count):
    """`count` kills. Returns (kills, failures)."""
    seed, workers = int(os.environ.get("CRASH_SEED", "0")) or random.randrange(1 << 30), min(WORKERS, count)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        ended = list(pool.map(work, [build / "midwatch"] * workers, [-(-count // workers)] * workers,
                              [seed + i for i in range(workers)]))
    kills, runs = sum(e[0] for e in ended), sum(e[1] for e in ended)
    counts = ", ".join(f"{sum(e[2][kind] for e in ended)} {kind}" for kind in ("lost", "doubled", "silent"))
    print(f"crash: {kills} kills of {runs} real runs (CRASH_SEED={seed}), {60 * kills / (time.monotonic() - begun):.0f} a minute: "
          f"{counts}", flush=True)
    return kills, [line for e in ended for line in e[3]]
