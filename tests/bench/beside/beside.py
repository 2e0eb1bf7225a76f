#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Midwatch beside Restate's server and DBOS with PostgreSQL, on the same machine and disk in one run: durable steps in one
run and in 200 at once, what a sleeping run takes, and what happens to the step that a kill -9 interrupts. Prints a table.

A step of the others is a function that returns at once and whose result is stored. One of Midwatch is an effect: planned,
with its intent on disk before it is sent, read back, and verified."""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

import bench                # noqa: E402  pylint: disable=wrong-import-position
import others               # noqa: E402  pylint: disable=wrong-import-position

ROOT = pathlib.Path(__file__).resolve().parents[3]
STEPS, RUNS, EACH, PAUSE_MS = 1000, 200, 20, 1000
BOOK = """---
runbook: cut
summary: a step that is interrupted
uses: { shell: sh }
may: [{ effect: shell.set, target: it }]
---
```lua
remedy("set", shell.set { n = 2 }, { verify = "applied", within = "30s" })
resolve "set"
```
"""
CONFIG = """instances: {{ sh: {{ plugin: shell }} }}
commands:
  it: {{ argv: [cat, {value}], read: {{ returns: integer }} }}
  set: {{ argv: [sh, -c, 'echo ran >>{ran}; echo "$1" >{value}; sleep {pause}', sh, "{{{{n}}}}"], params: {{ n: {{ type: integer }} }},
          effect: {{ class: ensure, target: it, state: it, sets: n }} }}
"""


class Midwatch:
    name = "Midwatch"

    def __init__(self, build, scratch):
        self.build, self.scratch = build, scratch

    @contextlib.contextmanager
    def up(self):
        yield self

    def said(self, program, *words):
        out = subprocess.run([str(self.build / program), *map(str, words)], check=True, text=True, stdout=subprocess.PIPE)
        return json.loads(out.stdout.strip().split("\n")[-1])

    def fresh(self, name):
        path = self.scratch / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def one(self, steps):
        del steps               # tests/bench/effects.md has a thousand
        return self.said("bench", ROOT, self.fresh("one"))["effects_per_s"]

    def many(self, runs, steps):
        del runs, steps         # many_bench has as many
        return self.said("many_bench", "effects", ROOT, self.fresh("many"))["effects_per_s"]

    def sleeping(self, runs):
        """By what a hundred thousand more make it grow: fewer do not show."""
        del runs
        some = [bench.sleeping(self.build / "midwatch", self.build / "many_bench", self.fresh(f"sleep{n}"), n)[1]
                for n in (100000, 200000)]
        return max(0, some[1] - some[0]) * 1024 / 100000

    def interrupted(self, pause_ms):
        path = self.fresh("cut")
        ran, value = path / "ran", path / "value"
        value.write_text("1\n")
        (path / "cut.md").write_text(BOOK)
        (path / "midwatch.yaml").write_text(CONFIG.format(ran=ran, value=value, pause=pause_ms / 1000))
        words = ["--config", str(path / "midwatch.yaml"), "--state", str(path / "state")]
        p = subprocess.Popen([self.build / "midwatch", "run", path / "cut.md", *words], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, cwd=path)
        others.wait_for_text(ran, "ran")
        time.sleep(0.1)         # the value is set behind the word
        p.send_signal(signal.SIGKILL)
        p.wait()
        begun = time.perf_counter()
        again = subprocess.run([self.build / "midwatch", "resume", "1", *words], text=True, capture_output=True, cwd=path,
                               check=False, timeout=60)
        if "outcome: resolved" not in again.stdout + again.stderr:
            raise RuntimeError(again.stdout + again.stderr)
        return time.perf_counter() - begun, len(ran.read_text().split())


def measure(system, rounds, sleepers):
    with system.up():
        system.one(STEPS)       # the first is slower everywhere
        one = statistics.median(system.one(STEPS) for _ in range(rounds))
        many = statistics.median(system.many(RUNS, EACH) for _ in range(rounds))
        cut = system.interrupted(PAUSE_MS)
        return one, many, cut, system.sleeping(sleepers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=ROOT / "build-release", type=pathlib.Path)
    parser.add_argument("--modules", required=True, type=pathlib.Path, help="where npm put the others")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sleepers", type=int, default=2000)
    args = parser.parse_args()
    build, modules = args.build.resolve(), args.modules.resolve()
    print("| | Midwatch | Restate | DBOS |\n|---|---|---|---|")
    seen = []
    for make in (lambda path: Midwatch(build, path), lambda path: others.Restate(modules, path),
                 lambda path: others.Dbos(modules, path)):
        with tempfile.TemporaryDirectory(prefix="midwatch-beside-", dir="/var/tmp") as scratch:
            os.chmod(scratch, 0o755)
            seen.append(measure(make(pathlib.Path(scratch)), args.rounds, args.sleepers))
    own = seen[0]
    rows = [("durable steps/s, one run of 1,000", [s[0] for s in seen], lambda v: f"{v:,.0f}", lambda v, o: f"{o / v:.1f} x"),
            ("durable steps/s, 200 runs of 20", [s[1] for s in seen], lambda v: f"{v:,.0f}", lambda v, o: f"{o / v:.1f} x"),
            ("bytes of memory per sleeping run", [s[3] for s in seen], lambda v: f"{v:,.1f}", lambda v, o: f"{v / max(o, 1):,.0f} x"),
            ("seconds from restart to the end", [s[2][0] for s in seen], lambda v: f"{v:.2f}", lambda v, o: f"{v / o:.1f} x"),
            ("how often the interrupted step ran", [s[2][1] for s in seen], str, None)]
    for what, values, text, ratio in rows:
        cells = [text(v) + (f" (Midwatch: {ratio(v, values[0])})" if ratio and i else "") for i, v in enumerate(values)]
        print(f"| {what} | {' | '.join(cells)} |")
    return 0 if own[2][1] == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
