#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Midwatch beside a baseline in the same run, and prints what made each number.

Processes: every command in turn (A B A B ...), each timed as a whole; the median counts. In-process: bench.c, several
times, each with bare SQLite on the same disk. Nothing is kept; exit 1 if a number misses its limit."""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
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


def sleeping(program, many, directory, runs):
    """(milliseconds until no run is interrupted any more, resident KiB) of `resume --all` on a journal of sleeping runs, of
    which the last hundred (one, where memory counts) were being executed when their owner died."""
    config = directory / "many.yaml"
    config.write_text(f"instances: {{ bench: {{ plugin: bench }} }}\nplugins: {ROOT}/tests/bench/plugins\n")
    state = directory / f"sleeping{runs}"
    state.mkdir()
    subprocess.run([str(many), "waiting", str(ROOT), str(state), str(runs)], check=True, stdout=subprocess.DEVNULL)
    if runs < 100000:
        subprocess.run([str(many), "interrupted", str(ROOT), str(state), "99"], check=False, stderr=subprocess.DEVNULL)
    begun = time.perf_counter()
    child = subprocess.Popen([str(program), "resume", "--all", "--state", str(state), "--config", str(config)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = None
    while True:
        time.sleep(0.005)
        journal = journal or sqlite3.connect(f"file:{state}/journal.db?mode=ro", uri=True)
        if journal.execute("select count(*) from run where state = 0").fetchone()[0] == 0:
            break
    took = (time.perf_counter() - begun) * 1000
    time.sleep(1)
    status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
    asleep = journal.execute("select count(*) from run where state = 1 and wake_at > 0").fetchone()[0]
    child.send_signal(signal.SIGINT)
    child.wait()
    journal.close()
    shutil.rmtree(state)
    if asleep != runs + (100 if runs < 100000 else 1):
        sys.exit(f"bench: {asleep} of {runs} runs sleep")
    return took, int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def many_runs(program, many, directory):
    def one(what):
        (directory / what).mkdir()
        out = subprocess.run([str(many), what, str(ROOT), str(directory / what)], check=True, text=True, stdout=subprocess.PIPE)
        return json.loads(out.stdout)
    e = one("effects")
    yield ("200 runs of 20 effects at once", f"{e['effects_per_s']:.0f}/s against {e['loop_per_s']:.0f}/s, {e['commits']} commits; "
           f"CPU {e['engine_cpu_s']:.2f} s against {e['loop_cpu_s']:.2f} s", e["effects_per_s"] / e["loop_per_s"],
           "x the same items by a loop", ">=", 0.5, "many_bench effects SOURCE DIR")
    for runs, most in ((100000, 24), (1000000, 64)):
        yield (f"{runs:,} sleeping runs", "", sleeping(program, many, directory, runs)[1] / 1024, "MiB resident", "<", most,
               "midwatch resume --all (journal by many_bench waiting)")
    took = sleeping(program, many, directory, 9900)[0]
    yield ("9,900 sleeping and 100 interrupted runs after kill -9", "", took, "ms until all are asleep", "<", 1000,
           "midwatch resume --all (many_bench waiting, interrupted)")
    w = one("wake")
    yield (f"a sleeping run with {w['rows']} rows is woken", f"CPU {w['wake_cpu_ms']:.1f} ms", w["wake_ms"], "ms", "<", 5,
           "many_bench wake SOURCE DIR")
    h = one("hostile")
    yield ("p99 of gate calls, ten hostile runs beside", f"{h['beside_p99_ms']:.2f} ms against {h['alone_p99_ms']:.2f} ms (CPU)",
           h["beside_p99_ms"] - h["alone_p99_ms"], "ms more", "<=", 2, "many_bench hostile SOURCE DIR")


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
                     inside(build / "bench", directory, args.rounds // 8 or 1),
                     many_runs(build / "midwatch", build / "many_bench", directory)):
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
