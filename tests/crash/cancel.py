#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cancels a run after it was killed at each of its points, and undoes one that has ended, killed at each point of the
undo: whatever it had changed is put back, or the run waits for a person with a named unknown effect. A run whose
instance was changed meanwhile is ended, touches nothing, and keeps what is not known locked. Prints `cancel: N passed, M failed`."""
import argparse
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import crash  # noqa: E402

SIZES = ["/apis/apps/v1/namespaces/prod/deployments/api-service",
         "/apis/apps/v1/namespaces/prod/statefulsets/postgres-read-replica"]


def sizes(world):
    """The wished replicas of both workloads."""
    found = []
    for path in SIZES:
        answer = world.request({"method": "GET", "url": "http://127.0.0.1:6443" + path,
                                "headers": {"Authorization": "Bearer demo-token"}, "body": ""})
        found.append(json.loads(answer["body"])["spec"]["replicas"])
    return found


def one(flow, k):
    """Killed at k, then cancelled. What is wrong, or None."""
    state, world = flow.scratch / f"c{k}", crash.World(flow.fresh)
    before = sizes(world)
    result, _, _ = flow.once(world, state, None, k)
    if result is not None:
        return None         # the run has fewer points
    world.wall_ms += 500
    os.environ["CRASH_CANCEL"] = "somebody"
    result, _, _ = flow.once(world, state, 1, 0)
    del os.environ["CRASH_CANCEL"]
    if "error" in result:
        return None if "no run" in result["error"] or "has ended" in result["error"] else result["error"]
    wrong = flow.replay(state)
    if wrong:
        return wrong
    if result["state"] == "waiting: person" and result["unknown"] > 0:
        return None
    if (result["state"], result["outcome"], result["reason"]) != ("ended", "cancelled", "cancelled_by"):
        return f"{result}"
    return None if sizes(world) == before else f"left {sizes(world)} where {before} was"


def undo(flow, ended, state, k):
    """The undo of an ended run, killed at k and taken up again. Returns (what is wrong or None, number of points)."""
    copied, world = flow.scratch / f"{flow.name}-u{k}", copy.deepcopy(ended)
    shutil.copytree(state, copied)
    os.environ["CRASH_UNDO"] = "1"
    result, points, _ = flow.once(world, copied, 1, k)
    del os.environ["CRASH_UNDO"]
    for _ in range(3):
        if result is not None:
            break
        world.wall_ms += 500
        result, _, _ = flow.once(world, copied, 2, 0)
    if "error" in result:       # killed before its START or behind its END
        return (None if re.search("no run|has ended", result["error"]) else result["error"]), points
    wrong = flow.replay(copied, 2)
    if wrong or (result["state"] == "waiting: person" and result["unknown"] > 0):
        return wrong, points
    if (result["state"], result["outcome"], result["reason"]) != ("ended", "resolved", "verified"):
        return f"{result}", points
    before = sizes(crash.World(flow.fresh))
    return (None if sizes(world) == before else f"left {sizes(world)} where {before} was"), points


def undone(flow):
    """Undoes a run that has ended, killed at every point. Yields (k, what is wrong or None)."""
    state, ended = flow.scratch / f"{flow.name}-ended", crash.World(flow.fresh)
    flow.once(ended, state, None, 0)
    ended.wall_ms += 500
    wrong, total = undo(flow, ended, state, 0)
    yield 0, wrong
    for k in range(1, total + 1):
        yield k, undo(flow, ended, state, k)[0]


def freed(flow, state):
    """The first effect of run 1 whose outcome nobody knows and whose target is free, or None."""
    report, locks = (subprocess.run([flow.child.parent / "midwatch", *words, "--state", state], text=True, capture_output=True,
                                    check=False).stdout for words in (["report", "1", "-o", "json"], ["list"]))
    return next((f"unknown, and its target is free: {x}" for x in json.loads(report)["effects"]
                 if x["state"] in ("intended", "unknown") and f"locked: {x['target']} by run 1" not in locks), None)


def elsewhere(flow, k):
    """Killed at k; before it is taken up again the operator changes the instance: nothing is sent there any more."""
    state, world = flow.scratch / f"e{k}", crash.World(flow.fresh)
    if flow.once(world, state, None, k)[0] is not None:
        return None
    config, effects = flow.scratch / "midwatch.yaml", len(world.effects())
    before = config.read_text()
    config.write_text(before.replace("context: demo", "context: demo, timeout: 9s"))
    world.wall_ms += 500
    result, _, _ = flow.once(world, state, 1, 0)
    config.write_text(before)
    if "error" in result:
        return None if re.search("no run|has ended", result["error"]) else result["error"]
    if (result["outcome"], result["reason"]) != ("escalated", "error") or "settings" not in result["text"]:
        return f"{result}"
    return flow.replay(state) or freed(flow, state) or (None if len(world.effects()) == effects else f"sent {world.effects()[effects:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    failed, tried = [], 0
    with tempfile.TemporaryDirectory(prefix="midwatch-cancel-") as scratch:
        flow = crash.Flow(pathlib.Path(args.build).resolve(), "for-a-while", pathlib.Path(scratch))
        reference = crash.Attempt(flow, "reference")
        flow.kill(reference, 0)
        total = reference.points
        flow.finish(reference)
        for k in range(1, total + 1):
            wrong = one(flow, k)
            tried += 1
            if wrong:
                failed.append(f"killed at {k}, cancelled: {wrong}")
        for k in range(1, total + 1, 3):
            wrong = elsewhere(flow, k)
            tried += 1
            if wrong:
                failed.append(f"killed at {k}, elsewhere: {wrong}")
        for each in (flow, crash.Flow(flow.child.parent, "one-on-another", pathlib.Path(scratch))):
            for k, wrong in undone(each):
                tried += 1
                if wrong:
                    failed.append(f"undo of {each.name} killed at {k}: {wrong}")
    for line in failed[:20]:
        print("cancel: " + line)
    print(f"cancel: {tried - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
