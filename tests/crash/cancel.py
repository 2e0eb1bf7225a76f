#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cancels a run after it was killed at each of its points: whatever it had changed by then is put back, or the run
waits for a person with a named unknown effect. Prints `cancel: N passed, M failed`."""
import argparse
import json
import os
import pathlib
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    failed, tried = [], 0
    with tempfile.TemporaryDirectory(prefix="midwatch-cancel-") as scratch:
        flow = crash.Flow(pathlib.Path(args.build).resolve(), "for-a-while", pathlib.Path(scratch))
        _, _, total, _ = flow.whole("reference", [])
        for k in range(1, total + 1):
            wrong = one(flow, k)
            tried += 1
            if wrong:
                failed.append(f"killed at {k}, cancelled: {wrong}")
    for line in failed[:20]:
        print("cancel: " + line)
    print(f"cancel: {tried - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
