#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills flows at every journal step and every host call, and looks at what is left.

The child (child.c) runs the real engine, plugins and SQLite journal on a simulated host; this parent owns the
clock, the world and the child's life. For every point k the child is killed there, taken up again, and must end
with the world and the outcome of the run that was never killed, or parked on a named unknown effect: never
doubled, never silent. Then the resume is killed, too: at all of its points for every --thorough'th k, for the
others at one that moves on (--quick: for every third k at one, and that is all).

The scenarios of every shipped runbook are flows as well (scenes/): the world is theirs, and they are killed at every
point, the first three of those that differ in nothing, and at one of each resume (--quick: at QUICK_POINTS of each, spread
over all of it, the same ones every time).
"""
import argparse
import concurrent.futures
import copy
import functools
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "demo"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from virtual import VirtualProduction  # noqa: E402

# A flow: the fault of its world, and its runbook.
FLOWS = {"slow-model": ("slow-model", "runbooks/high-latency.md"), "cut": ("cut", "runbooks/high-latency.md"),
         "for-a-while": ("none", "tests/crash/for-a-while.md"), "one-on-another": ("none", "tests/crash/one-on-another.md")}
RUNBOOKS = sorted(path.stem for path in ROOT.glob("runbooks/*.md") if path.with_suffix(".test.yaml").exists())
QUICK_POINTS = 4
RUNS_MAX = 12       # starts and resumes of one run before it counts as never ending
CONFIG = """instances:
  prod-eu: {{ plugin: kubernetes, kubeconfig: {dir}/kubeconfig, context: demo }}
  metrics: {{ plugin: prometheus, url: "http://127.0.0.1:9090", window: 10s }}
"""
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: demo
clusters: [ { name: demo, cluster: { server: "http://127.0.0.1:6443" } } ]
users: [ { name: demo, user: { token: demo-token } } ]
contexts: [ { name: demo, context: { cluster: demo, user: demo, namespace: prod } } ]
"""


class Killed(Exception):
    """The child was killed where the test wanted it."""


class World:
    """The production of one attempt and its clock."""

    def __init__(self, fresh):
        self.production = copy.deepcopy(fresh)
        self.wall_ms = int(self.production.ready_at * 1000)

    def tick(self, wall_ms):
        self.wall_ms = max(self.wall_ms, wall_ms)
        self.production.advance(max(self.production.now, self.wall_ms / 1000))

    def request(self, message):
        url = urllib.parse.urlsplit(message["url"])
        to = "cluster" if url.port == 6443 else "metrics"
        target = url.path + ("?" + url.query if url.query else "")
        status, _, body = self.production.request(to, message["method"], target, message["headers"],
                                                  message["body"].encode())
        return {"status": status or 0, "body": body.decode()}

    def effects(self):
        """What the cluster took, also where it found nothing to change: a change sent twice is two."""
        return [(e["method"], e["path"]) for e in self.production.world.log
                if e["method"] != "GET" and e["status"] is not None and e["status"] < 300 and not e["dry_run"]]


class Flow:
    """The flow under test: a child binary, a scratch directory, a fresh world to copy."""

    def __init__(self, build, name, scratch):
        fault, self.runbook = FLOWS[name]
        self.name, self.child = name, build / "crash_child"
        self.fresh = VirtualProduction(fault)
        self.scratch = scratch
        (scratch / "midwatch.yaml").write_text(CONFIG.format(dir=scratch))
        (scratch / "midwatch.yaml").chmod(0o600)
        (scratch / "kubeconfig").write_text(KUBECONFIG)
        (scratch / "kubeconfig").chmod(0o600)

    def once(self, world, state, run, kill_at):
        """One child. kill_at counts points from 1; half points are after the world acted, before it answered.
        Returns (result or None, number of points)."""
        ours, theirs = socket.socketpair()
        argv = [str(self.child), str(state), str(self.scratch / "midwatch.yaml"),
                str(ROOT / self.runbook), str(world.wall_ms)] + ([str(run)] if run else [])
        child = subprocess.Popen(argv, pass_fds=[theirs.fileno()], env={**os.environ, "CRASH_FD": str(theirs.fileno())},
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        theirs.close()
        points, names = 0, []
        stream = ours.makefile("rw")

        def point(name):
            nonlocal points
            points += 1
            names.append(name)
            if points == kill_at:
                raise Killed(name)

        try:
            for line in stream:
                message = json.loads(line)
                answer = {}
                if "tick" in message:
                    world.tick(int(message["tick"]))
                elif "point" in message:
                    point(message["point"])
                else:
                    answer = world.request(message["http"])
                    point("after " + message["http"]["method"] + " " + message["http"]["url"])
                stream.write(json.dumps(answer) + "\n")
                stream.flush()
        except Killed as where:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            return None, points, str(where)
        except BrokenPipeError:
            pass
        finally:
            stream.close()
            ours.close()
        out, err = child.communicate()
        if child.returncode != 0:
            return {"error": err.strip() or f"exit {child.returncode}"}, points, ""
        return json.loads(out), points, ""

    def replay(self, state, run=1):
        """Replays a run of a state directory, and audits the journal. What is wrong, or None."""
        argv = [str(self.child.parent / "midwatch"), "replay", str(run), "--state", str(state), "--config",
                str(self.scratch / "midwatch.yaml")]
        for words, said in ((argv, "equal"), ([argv[0], "audit", "verify", *argv[3:]], "consistent")):
            p = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            if p.returncode or said not in p.stdout:
                return f"{words[1]}: {(p.stdout + p.stderr).strip()}"
        return None

    def kill(self, attempt, point):
        """Runs the attempt's next child and kills it at `point`. Returns where, or None: it was over before."""
        result, points, killed = self.once(attempt.world, attempt.state, attempt.run, point)
        attempt.points = points
        attempt.world.wall_ms += 500
        if result is None:
            attempt.run, attempt.where = 1, attempt.where + [killed]
            return killed
        attempt.result = result
        return None

    def finish(self, attempt):
        """Takes an attempt up again until it has ended, and replays it."""
        for _ in range(RUNS_MAX):
            if attempt.result is None:
                self.kill(attempt, 0)
            if "no run" in attempt.result.get("error", "") and attempt.run:
                attempt.run = attempt.result = None     # nothing had become durable: the run never was
                continue
            over = re.search(r"run \d+ has ended \((\w+), (\w+)\)", attempt.result.get("error", ""))
            if over:                    # killed behind the commit of its end
                attempt.result = {"state": "ended", "outcome": over.group(1), "reason": over.group(2), "unknown": 0}
            break
        attempt.result = attempt.result or {"error": "it never became durable"}
        if "error" not in attempt.result:
            wrong = self.replay(attempt.state)
            attempt.result = {"error": wrong} if wrong else attempt.result
        shutil.rmtree(attempt.state, ignore_errors=True)


class Attempt:
    """A run in its own world with its own journal, over all the children it takes."""

    def __init__(self, flow, name, after=None):
        self.state = flow.scratch / f"{flow.name}-{name}"
        self.world = copy.deepcopy(after.world) if after else World(flow.fresh)
        self.run = after.run if after else None
        self.where = list(after.where) if after else []
        self.result, self.points = None, 0
        if after and after.state.exists():
            shutil.copytree(after.state, self.state)


def judge(result, world, reference, reference_world):
    """What is wrong with an ending, or None."""
    if "error" in result:
        return result["error"]
    if any(world.effects().count(x) > max(reference_world.effects().count(x), 1) for x in world.effects()):
        return f"an effect happened twice: {world.effects()}"
    if result["state"] == "waiting: person" and result["unknown"] > 0:
        return None
    if (result["state"], result["outcome"], result["reason"]) != (reference["state"], reference["outcome"], reference["reason"]):
        return f"ended {result['state']} {result['outcome']} {result['reason']}: {result.get('text', '')}"
    if sorted(world.effects()) != sorted(reference_world.effects()):
        return f"effects {world.effects()} instead of {reference_world.effects()}"
    return None


def killed_at(flow, reference, thorough, k):
    """Kills the run at its point k, and then its resume. Returns (kills, parked, failures)."""
    tried = parked = 0
    failures = []

    def ended(attempt):
        nonlocal tried, parked
        flow.finish(attempt)
        tried += 1
        parked += attempt.result["state"] == "waiting: person" if "state" in attempt.result else 0
        wrong = judge(attempt.result, attempt.world, reference.result, reference.world)
        if wrong:
            failures.append(f"{flow.name}: killed at {k}: {'; '.join(attempt.where)}: {wrong}")

    first = Attempt(flow, f"k{k}")
    flow.kill(first, k)
    once = Attempt(flow, f"k{k}-once", first)
    flow.kill(once, 0)
    resumed = once.points
    ended(once)
    points = range(1, resumed + 1)
    if resumed and not (thorough and k % thorough == 0):
        points = [points[k * 7 % resumed]] if thorough or k % 3 == 0 else []
    for m in points:
        again = Attempt(flow, f"k{k}-{m}", first)
        flow.kill(again, m)
        ended(again)
    shutil.rmtree(first.state, ignore_errors=True)
    return tried, parked, failures


def points_of(flow, thorough):
    """Kills at every point of one flow, two at a time. Returns (tried, failures)."""
    reference = Attempt(flow, "reference")
    flow.kill(reference, 0)
    total = reference.points
    flow.finish(reference)
    if "error" in reference.result:
        return 1, [f"{flow.name}: {reference.result['error']}"]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        seen = pool.map(functools.partial(killed_at, flow, reference, thorough), range(1, total + 1), chunksize=1)
    tried, failures = sum(n for n, _, _ in seen), [line for _, _, bad in seen for line in bad]
    print(f"crash: {flow.name}: {total} points, uncrashed {reference.result['outcome']} with {len(reference.world.effects())} "
          f"effects; {tried} kills, {sum(n for _, n, _ in seen)} parked, {len(failures)} failures", flush=True)
    return tried, failures


def scenes_of(build, book, at_most):
    """The scenarios of one runbook. Returns (tried, failures)."""
    # A file in memory serves as well: a process that dies takes nothing with it that it wrote.
    with tempfile.TemporaryDirectory(prefix="midwatch-crash-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
        p = subprocess.run([build / "crash_scenes", f"runbooks/{book}.md", "runbooks/midwatch.example.yaml", scratch, str(at_most)],
                           cwd=ROOT, text=True, capture_output=True, check=False)
    told = re.search(r"^crash: .*; (\d+) kills, \d+ parked, (\d+) failures$", p.stdout, re.M)
    bad = [line.removeprefix("not ok - crash: ") for line in p.stdout.splitlines() if line.startswith("not ok")]
    if not told or (p.returncode and not bad):
        return 1, [f"{book}: {(p.stdout + p.stderr).strip()[-1000:] or p.returncode}"]
    print(told.group(), flush=True)
    return int(told.group(1)), bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--flows", default=",".join(FLOWS))
    parser.add_argument("--runbooks", default=",".join(RUNBOOKS), help="whose scenarios are killed")
    parser.add_argument("--thorough", type=int, default=6, help="every how many first kills the resume dies at all its points")
    parser.add_argument("--quick", action="store_true", help="few kills in recovery")
    parser.add_argument("--kills", type=int, default=0, help="so many kill -9 of real processes as well (kills.py)")
    args = parser.parse_args()
    build, tried, failures = pathlib.Path(args.build).resolve(), 0, []
    with tempfile.TemporaryDirectory(prefix="midwatch-crash-") as scratch:
        for name in filter(None, args.flows.split(",")):
            flow = Flow(build, name, pathlib.Path(scratch))
            n, bad = points_of(flow, 0 if args.quick else args.thorough)
            tried, failures = tried + n, failures + bad
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n, bad in pool.map(lambda book: scenes_of(build, book, QUICK_POINTS if args.quick else 0),
                               filter(None, args.runbooks.split(","))):
            tried, failures = tried + n, failures + bad
    if args.kills:
        import kills
        n, bad = kills.kill_many(build, args.kills)
        tried, failures = tried + n, failures + bad
    for line in failures[:20]:
        print("crash: " + line)
    print(f"crash: {tried - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
