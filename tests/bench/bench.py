#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Midwatch beside a baseline in the same run, and prints what made each number.

Processes: every command in turn (A B A B ...), each timed as a whole; the median counts. In-process: bench.c, several
times, each with bare SQLite on the same disk. Nothing is kept; exit 1 if a number misses its limit."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = """instances: { sh: { plugin: shell } }
commands:
  one: { argv: [/bin/true], read: true }
  two: { argv: [/bin/true], read: true }
  three: { argv: [/bin/true], read: true }
"""
BOOK = """---
runbook: {name}
summary: three reads
uses: {{ shell: sh }}
---
```lua
{code}
no_action "read"
```
"""
TOGETHER = "local o = observe { one = shell.one(), two = shell.two(), three = shell.three() }"
IN_TURN = "observe(shell.one()) observe(shell.two()) observe(shell.three())"
SCRIPT = "#!/bin/bash\nset -eu\none=$(/bin/true)\ntwo=$(/bin/true)\nthree=$(/bin/true)\n"


def once(argv, directory):
    """Milliseconds of one process."""
    begun = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, {**os.environ, "HOME": str(directory)},
                         file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)])
    status = os.waitpid(pid, 0)[1]
    took = (time.perf_counter() - begun) * 1000
    if status:
        sys.exit(f"bench: {' '.join(argv)}: wait status {status}")
    return took


def in_turn(commands, rounds, directory):
    """The median milliseconds of each command, and of its time over that of commands[0] in the same round; the first
    round does not count."""
    seen = [[once(argv, directory) for argv in commands] for _ in range(rounds + 1)][1:]
    return [(statistics.median(r[i] for r in seen), statistics.median(r[i] / r[0] for r in seen))
            for i in range(len(commands))]


def processes(program, bench, directory, rounds):
    (directory / "midwatch.yaml").write_text(CONFIG)
    (directory / "three.sh").write_text(SCRIPT)
    bash = ["/bin/bash", str(directory / "three.sh")]

    def run(name, code):
        (directory / f"{name}.md").write_text(BOOK.format(name=name, code=code))
        return [str(program), "run", str(directory / f"{name}.md"), "--config", str(directory / "midwatch.yaml"),
                "--state", str(directory / "state")]

    books = {"of one observe": run("together", TOGETHER), "one after another": run("turn", IN_TURN)}
    script, *runs = in_turn([bash, *books.values()], rounds, directory)
    for name, argv, (took, ratio) in zip(books, books.values(), runs):
        yield (f"cold run, three shell reads {name}", f"{took:.1f} ms against {script[0]:.1f} ms", ratio, "x bash", "<=", 1.5,
               f"midwatch run {pathlib.Path(argv[2]).name} --state state; bash three.sh")
    peaks = [int(subprocess.run([str(bench), "peak", *books["one after another"]], check=True, text=True,
                                stdout=subprocess.PIPE).stdout) for _ in range(5)]
    yield ("peak memory of that run", "", max(peaks) / 1024, "MiB", "<", 12, "bench peak midwatch run turn.md --state state")
    true, version = in_turn([["/bin/true"], [str(program), "version"]], rounds, directory)
    yield ("version", f"{version[0]:.2f} ms against {true[0]:.2f} ms", version[0] - true[0], "ms more than true", "<=", 3,
           "midwatch version; /bin/true")


def inside(bench, directory, rounds):
    seen = []
    for number in range(rounds):
        state = directory / f"inside{number}"
        state.mkdir()
        out = subprocess.run([str(bench), str(ROOT), str(state)], check=True, text=True, stdout=subprocess.PIPE).stdout
        seen.append(json.loads(out.strip().split("\n")[-1]))
    made = "bench SOURCE STATE"

    def middle(of):
        return statistics.median(of(s) for s in seen)
    sqlite = middle(lambda s: s["sqlite_commits_per_s"])
    yield ("1,000 reads in one run", f"{max(s['read_commits'] for s in seen)} commit", middle(lambda s: s["reads_per_s"]),
           "reads/s", ">=", 100000, f"{made} (tests/bench/reads.md)")
    yield ("1,000 effects in one run", f"{middle(lambda s: s['effects_per_s']):.0f}/s against {sqlite:.0f}/s",
           middle(lambda s: s["effects_per_s"] / s["sqlite_commits_per_s"]), "x bare SQLite", ">=", 0.5,
           f"{made} (tests/bench/effects.md)")
    yield "Lua state with the language: time", "", middle(lambda s: s["state_us"]), "us", "<", 200, made
    yield "Lua state with the language: size", "", middle(lambda s: s["state_kib"]), "KiB", "<", 96, made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build-release")
    parser.add_argument("--rounds", type=int, default=40, help="of the processes; the in-process bench runs an eighth as often")
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    missed = 0
    print("| what | number | limit | measured | command |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="midwatch-bench-", dir="/var/tmp") as scratch:
        directory = pathlib.Path(scratch)
        for rows in (processes(build / "midwatch", build / "bench", directory, args.rounds),
                     inside(build / "bench", directory, args.rounds // 8 or 1)):
            for what, detail, value, unit, sign, limit, command in rows:
                holds = {"<=": value <= limit, "<": value < limit, ">=": value >= limit}[sign]
                missed += not holds
                number = f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"
                print(f"| {what} | {number} {unit}{'' if holds else ' MISSED'} | {sign} {limit:,} | {detail} | `{command}` |",
                      flush=True)
    print(f"bench: {missed} of the limits missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
