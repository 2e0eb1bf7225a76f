#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails the Nth write, fsync, spawn, thread, connect and malloc of `midwatch run`, for N = 1, 2, ... until the run passes
untouched; lets it run out of disk from the Nth write on, of descriptors, of memory, and of what a file may grow to. Each time
the program must end by itself with an exit code of the design (without memory it may abort, and says so); then, with everything
there again, the run is taken up until it has ended, and the world must have been changed once or not at all, as the journal
says.

Prints `ok - name` or `not ok - name: why`."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "flow"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import stand  # noqa: E402

LOOP = 128                      # bytes: of what uv_loop_init allocates
PATIENCE_S, HANGS_S = 15, 40        # the longest honest wait: 2 s of the effect's time and 5 s of grace
CODES = (0, 1, 2, 3, 5, 6)      # DESIGN section 8, without policy and cancel
OUT_OF_MEMORY = "memory"        # "out of memory", "not enough memory"
CONFIG = """instances:
  load: {{ plugin: http, url: "{url}", requests: {{ value: {{ path: "/load", read: {{ returns: integer, at: /value }} }} }} }}
commands:
  workers: {{ argv: [cat, {world}/value], read: {{ returns: integer }} }}
  set_workers: {{ argv: [{world}/set, "{{{{n}}}}", {word}], params: {{ n: {{ type: integer, max: 64 }} }},
                 timeout: 2s, effect: {{ class: ensure, target: pool, state: workers, sets: n }} }}
"""
RUNBOOK = """---
runbook: faulty
summary: one change
uses: [shell, load]
may: [ { effect: shell.set_workers, target: pool } ]
limits: { cooldown: 0s }
---
# Faulty
```lua
if observe(load.value()) < 5 then no_action "calm" end
remedy("more", shell.set_workers { n = 8 }, { verify = "applied" })
resolve "more"
```
"""
WORD = "w" * 1500               # of the configuration; nothing else allocates so many bytes
SET = """#!/bin/sh
echo "$1" >> {world}/log
[ $# = 2 ] || echo "without its last word" >> {world}/log
echo "$1" > {world}/value.new && mv {world}/value.new {world}/value
"""


class Case:
    """One run in a world of its own."""

    def __init__(self, build, url, path):
        self.build, self.path, self.hit = build, path, path / "hit"
        world = path / "world"
        world.mkdir(parents=True)
        (path / "midwatch.yaml").write_text(CONFIG.format(url=url, world=world, word=WORD))
        (path / "midwatch.yaml").chmod(0o600)
        (path / "faulty.md").write_text(RUNBOOK)
        (world / "value").write_text("3\n")
        (world / "log").write_text("")
        (world / "set").write_text(SET.format(world=world))
        (world / "set").chmod(0o700)

    def midwatch(self, *words, fault=None, size=0, limit=None):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.path)}
        if fault:
            env |= stand.preload(self.build, "fault_preload.so", FAULT=fault, FAULT_HIT=str(self.hit), FAULT_BYTES=str(size))
        argv = [str(self.build / "midwatch"), *words, "--config", "midwatch.yaml", "--state", "state"]
        with subprocess.Popen(argv, env=env, cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, preexec_fn=limit) as p:
            try:
                out, err = p.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:       # it looks again and again: leave it
                p.terminate()
                try:
                    out, err = p.communicate(timeout=HANGS_S)
                except subprocess.TimeoutExpired:
                    p.kill()
                    out, err = p.communicate()
                    err += "it hung"
            return subprocess.CompletedProcess(argv, p.returncode, out, err)

    def newest(self):
        """(state, outcome) of the run, or None: it never was."""
        p = self.midwatch("list", "-o", "json")
        runs = json.loads(p.stdout) if p.returncode == 0 and p.stdout.strip() else []
        runs = runs["runs"] if isinstance(runs, dict) else runs
        return (runs[0]["state"], runs[0].get("outcome")) if runs else None

    def judge(self, p):
        """What is wrong with how the program ended, and with what became of the run; or None."""
        aborted = p.returncode == -6 and OUT_OF_MEMORY in p.stderr
        if p.returncode not in CODES and not aborted:
            return f"it ended with {p.returncode}: {p.stderr[-300:]}"
        if p.returncode == 1 and not p.stderr.strip():
            return "it failed without a word"
        if re.search("cannot be started$", p.stderr, re.M):
            return f"it says no why: {p.stderr[-300:]}"
        now = self.newest()
        for _ in range(4):
            if now and now[0] != "ended":
                self.midwatch("resume", "1")
                now = self.newest()
        changes, value = (self.path / "world/log").read_text().splitlines(), (self.path / "world/value").read_text().strip()
        if len(changes) > 1:
            return f"it was changed {len(changes)} times: {changes}"
        if now is None:
            return f"changed by a run that never was: {changes}" if changes else None
        if now[0] != "ended":
            return f"the run does not end: {now}"
        if now[1] == "resolved" and (changes, value) != (["8"], "8"):
            return f"resolved, and the world shows {value} after {changes}"
        if now[1] != "resolved" and now[1] != "escalated":
            return f"it ended {now[1]}"
        replay = self.midwatch("replay", "1")
        return None if replay.returncode == 0 else f"replay: {replay.stdout}{replay.stderr}"


class Faults:
    """Cases of one kind, one after the other."""

    def __init__(self, build, url, scratch):
        self.build, self.url, self.scratch = build, url, scratch

    def one(self, name, **how):
        """What is wrong (or None), whether the fault was met, and how the program ended."""
        path = self.scratch / re.sub("[ :]", "-", name)     # a word of the shell in `set`
        case = Case(self.build, self.url, path)
        p = case.midwatch("run", "faulty.md", **how)
        wrong, met = case.judge(p), case.hit.exists()
        shutil.rmtree(path, ignore_errors=True)
        return wrong, met, p

    def nth(self, kind, till, step, size=0):
        """Fails call N, N+step, ... of a kind (and size) until it is not reached any more. Returns (cases, what is wrong)."""
        n, tried, failures = 1, 0, []
        while True:
            fault = f"{kind}:{n}" + (f":{till}" if till is not None else "")
            wrong, met, _ = self.one(f"{fault}-{size}", fault=fault, size=size)
            if wrong:
                failures.append(f"{fault}: {wrong}")
            if not met or len(failures) > 5:
                return tried, failures
            tried, n = tried + 1, n + (step(n) if callable(step) else step)

    def limit(self, name, what, values):
        """Runs under limits of one resource, ever less strict, the last of which must do."""
        failures, tried = [], 0
        for value in values:
            wrong, _, p = self.one(f"{name}-{value}", limit=lambda v=value: resource.setrlimit(what, (v, v)))
            tried += 1
            if wrong and not (p.returncode == 127 and "shared libraries" in p.stderr):
                failures.append(f"{name} {value}: {wrong}")
        if p.returncode != 0:
            failures.append(f"{name} {values[-1]}: it still ends with {p.returncode}: {p.stderr[-200:]}")
        return tried, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--thorough", action="store_true", help="every malloc, not one in so many")
    args = parser.parse_args()
    server, failed = stand.Server(lambda *_: stand.answer_json({"value": 9})), 0
    # In memory: who waits for a busy disk meets the effect's time limit, which is not the fault that was planted.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="midwatch-fault-", dir=memory) as scratch, concurrent.futures.ThreadPoolExecutor(2) as pool:
        f = Faults(pathlib.Path(args.build).resolve(), server.url, pathlib.Path(scratch))
        mallocs, writes = (1, 1) if args.thorough else (lambda n: 1 + n // 7, lambda n: 1 + n // 12)
        jobs = {
            "the Nth write fails": (f.nth, "write", None, writes), "the disk is full from the Nth write on": (f.nth, "write", 0, writes),
            "the Nth fsync fails": (f.nth, "fsync", None, 1), "the Nth spawn fails": (f.nth, "spawn", None, 1),
            "the Nth thread fails": (f.nth, "thread", None, 1), "no thread from the Nth on": (f.nth, "thread", 0, 1),
            "no process from the Nth on": (f.nth, "spawn", 0, 1), "the Nth connect fails": (f.nth, "connect", None, 1),
            "the Nth malloc fails": (f.nth, "malloc", None, mallocs),
            "no memory from the Nth malloc on": (f.nth, "malloc", 0, mallocs),
            "no memory for a word of the configuration": (f.nth, "malloc", None, 1, len(WORD) + 1),
            "no memory for the descriptors of libuv": (f.nth, "malloc", None, 1 if args.thorough else lambda n: 1 + n // 16, LOOP),
            "descriptors": (f.limit, "descriptors", resource.RLIMIT_NOFILE, [*range(3, 24), 64]),
            "file size": (f.limit, "file size", resource.RLIMIT_FSIZE, [0, 1, *(1 << n for n in range(9, 20)), 100000, 1 << 24]),
            "memory": (f.limit, "memory", resource.RLIMIT_AS, [m << 20 for m in (8, 12, 16, 24, 32, 48, 64, 1024)]),
        }
        results = {name: pool.submit(*job) for name, job in jobs.items()}
        for name, result in results.items():
            tried, failures = result.result()
            failed += bool(failures) or tried == 0
            if tried == 0:
                failures.append("the fault was never met")
            print(f"{'not ok' if failures else 'ok'} - fault: {name} ({tried} runs)" +
                  (": " + "; ".join(failures[:4]) if failures else ""), flush=True)
    server.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
