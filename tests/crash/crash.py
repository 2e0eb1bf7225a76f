#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the demo flow at every journal step and every host call, and looks at what is left.

The child (child.c) runs the real engine, plugins and SQLite journal on a simulated host; this parent owns the
clock, the world and the child's life. For every point k the child is killed there, taken up again, and must end
with the world and the outcome of the run that was never killed, or parked on a named unknown effect: never
doubled, never silent. With --recovery every resume is killed once, too, at a point that moves on.
"""
import argparse
import copy
import json
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
         "for-a-while": ("none", "tests/crash/for-a-while.md")}
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
        return [(e["method"], e["path"]) for e in self.production.world.effects()]


class Flow:
    """The flow under test: a child binary, a scratch directory, a fresh world to copy."""

    def __init__(self, build, name, scratch):
        fault, self.runbook = FLOWS[name]
        self.child = build / "crash_child"
        self.fresh = VirtualProduction(fault)
        self.scratch = scratch
        (scratch / "midwatch.yaml").write_text(CONFIG.format(dir=scratch))
        (scratch / "midwatch.yaml").chmod(0o600)
        (scratch / "kubeconfig").write_text(KUBECONFIG)
        (scratch / "kubeconfig").chmod(0o600)
        self.fd_in = None

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
        """Replays a run of a state directory. What is wrong, or None."""
        argv = [str(self.child.parent / "midwatch"), "replay", str(run), "--state", str(state), "--config",
                str(self.scratch / "midwatch.yaml")]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return None if p.returncode == 0 and "equal" in p.stdout else f"replay: {(p.stdout + p.stderr).strip()}"

    def whole(self, name, kills):
        """A run from start to end, killed at kills[i] in its i-th child. Returns (result, world, points of the first)."""
        state = self.scratch / name
        world = World(self.fresh)
        first, where, run = None, [], None
        for i in range(RUNS_MAX):
            result, points, killed = self.once(world, state, run, kills[i] if i < len(kills) else 0)
            first = points if first is None else first
            world.wall_ms += 500
            if result is None:
                where.append(killed)
                run = 1
                continue
            if "error" in result and run and "no run" in result["error"]:
                run = None      # nothing had become durable: the run never was
                continue
            over = re.search(r"run \d+ has ended \((\w+), (\w+)\)", result.get("error", ""))
            if over:            # killed behind the commit of its end
                result = {"state": "ended", "outcome": over.group(1), "reason": over.group(2), "unknown": 0}
            break
        if result and "error" not in result:
            wrong = self.replay(state)
            result = {"error": wrong} if wrong else result
        shutil.rmtree(state, ignore_errors=True)
        return result, world, first, where


def judge(result, world, reference, reference_world):
    """What is wrong with an ending, or None."""
    if result is None:
        return "it never ended"
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


def points_of(flow, fault, recovery):
    """Kills at every point of one flow. Returns (tried, failures)."""
    reference, reference_world, total, _ = flow.whole("reference", [])
    print(f"crash: {fault}: {total} points, uncrashed {reference}, effects {reference_world.effects()}", flush=True)
    if "error" in reference:
        return 1, [f"{fault}: {reference['error']}"]
    failures, parked = [], 0
    for k in range(1, total + 1):
        kills = [k, 1 + (k * 7) % 40] if recovery else [k]
        result, world, _, where = flow.whole(f"k{k}", kills)
        wrong = judge(result, world, reference, reference_world)
        parked += result is not None and result.get("state") == "waiting: person"
        if wrong:
            failures.append(f"{fault}: killed at {kills} ({'; '.join(where)}): {wrong}")
    print(f"crash: {fault}: {total} kills{' and as many in recovery' if recovery else ''}, {parked} parked, "
          f"{len(failures)} failures", flush=True)
    return total, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--flows", default=",".join(FLOWS))
    parser.add_argument("--kills", type=int, default=0, help="real processes killed at random as well (kills.py)")
    args = parser.parse_args()
    tried, failures = 0, []
    with tempfile.TemporaryDirectory(prefix="midwatch-crash-") as scratch:
        for name in args.flows.split(","):
            flow = Flow(pathlib.Path(args.build).resolve(), name, pathlib.Path(scratch))
            for recovery in (False, True):
                n, bad = points_of(flow, name, recovery)
                tried += n
                failures += bad
    if args.kills:
        import kills
        n, bad = kills.loop(pathlib.Path(args.build).resolve(), args.kills)
        tried += n
        failures += bad
    for line in failures[:20]:
        print("crash: " + line)
    print(f"crash: {tried - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
