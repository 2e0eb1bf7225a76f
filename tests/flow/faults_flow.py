#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole program against a world that misbehaves: every answer of the cluster and of Prometheus that is no plain
answer, with the ending that each must have. Virtual time; the engine, plugins and journal are the real ones.

Prints `ok - name` or `not ok - name: why` per case."""
import argparse
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "crash"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import crash  # noqa: E402

ROLLBACK = [("PATCH", "/apis/apps/v1/namespaces/prod/deployments/api-service")]
DEPLOYMENT = "deployments/api-service$"


def status(code, reason=None, times=1, **more):
    return {"method": "PATCH", "path": DEPLOYMENT, "do": "status", "code": code, "times": times,
            **({"reason": reason} if reason else {}), **more}


def vector(*values):
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"series": str(i)}, "value": [0, v]} for i, v in enumerate(values)]}})


# name, rules of the cluster, what the metrics answer instead (None = the truth), state, outcome, reason, effects
CASES = [
    ("no fault", [], None, "ended", "resolved", "verified", ROLLBACK),
    ("401 on the change", [status(401, "Unauthorized", 9)], None, "ended", "escalated", "error", []),
    ("403 on the change", [status(403, "Forbidden", 9)], None, "ended", "escalated", "error", []),
    ("404 on the change", [status(404, "NotFound", 9)], None, "ended", "escalated", "error", []),
    ("410 on the change", [status(410, "Expired", 9)], None, "ended", "escalated", "error", []),
    ("422 on the change", [status(422, "Invalid", 9)], None, "ended", "escalated", "error", []),
    ("409 once, nothing moved", [status(409, "Conflict")], None, "ended", "resolved", "verified", ROLLBACK),
    ("429 once", [status(429, "TooManyRequests", retry_after=1)], None, "ended", "resolved", "verified", ROLLBACK),
    ("500 once", [status(500, "InternalError")], None, "ended", "resolved", "verified", ROLLBACK),
    ("503 once", [status(503, "ServiceUnavailable")], None, "ended", "resolved", "verified", ROLLBACK),
    ("500 always", [status(500, "InternalError", 99)], None, "ended", "escalated", "error", []),
    ("dropped before it arrived", [{"method": "PATCH", "do": "drop"}], None, "ended", "resolved", "verified", ROLLBACK),
    ("cut after it was applied", [{"method": "PATCH", "do": "cut", "times": 1}], None, "ended", "resolved", "verified", ROLLBACK),
    ("HTML on the change", [{"method": "PATCH", "do": "raw", "code": 502, "body": "<html>bad gateway</html>", "times": 1}],
     None, "ended", "resolved", "verified", ROLLBACK),
    ("somebody else scales before the change", [{"method": "PATCH", "do": "interfere", "object":
     ["deployments", "prod", "api-service"], "patch": {"spec": {"replicas": 5}}}], None, "ended", "escalated", "moved", None),
    ("the cluster is down", [{"method": "GET", "do": "drop", "times": 999}], None, "ended", "escalated", "inconclusive_cause", []),
    ("the cluster answers 403", [{"method": "GET", "do": "status", "code": 403, "times": 999}], None, "ended", "escalated",
     "inconclusive_cause", []),
    ("the cluster answers HTML", [{"method": "GET", "do": "raw", "code": 200, "body": "<html>login</html>", "times": 999}], None,
     "ended", "escalated", "inconclusive_cause", []),
    ("metrics: connection refused", [], (0, ""), "ended", "escalated", "no_data", []),
    ("metrics: 503", [], (503, "unavailable"), "ended", "escalated", "no_data", []),
    ("metrics: HTML", [], (200, "<html>login</html>"), "ended", "escalated", "no_data", []),
    ("metrics: empty", [], (200, vector()), "ended", "escalated", "no_data", []),
    ("metrics: NaN", [], (200, vector("NaN")), "ended", "escalated", "no_data", []),
    ("metrics: infinity", [], (200, vector("+Inf")), "ended", "escalated", "no_data", []),
    ("metrics: two series", [], (200, vector("3.1", "3.2")), "ended", "escalated", "no_data", []),
    ("metrics: stale", [], (200, vector("3.1")), "ended", "escalated", "no_data", []),
    ("metrics: warnings", [], (200, vector("3.1")[:-1] + ',"warnings":["partial data"]}'), "ended", "escalated", "no_data", []),
    ("metrics: an error", [], (422, '{"status":"error","errorType":"execution","error":"boom"}'), "ended", "escalated",
     "no_data", []),
    ("metrics: 10,000 series", [], (200, vector(*["3.1"] * 10000)), "ended", "escalated", "no_data", []),
    ("metrics: cut in the middle", [], (200, vector("3.1")[:40]), "ended", "escalated", "no_data", []),
    ("metrics: deep JSON", [], (200, "[" * 100000), "ended", "escalated", "no_data", []),
]


class Faulty(crash.World):
    """A world with planted faults, and metrics that may answer something else."""

    def __init__(self, fresh, rules, metrics):
        super().__init__(fresh)
        self.production.world.rules = [dict(rule) for rule in rules]
        self.metrics = metrics

    def request(self, message):
        if self.metrics is not None and ":9090" in message["url"]:
            return {"status": self.metrics[0], "body": self.metrics[1]}
        return super().request(message)


def one(flow, number, case):
    """Runs one case; what is wrong, or None."""
    _, rules, metrics, state, outcome, reason, effects = case
    world = Faulty(flow.fresh, rules, metrics)
    result, _, _ = flow.once(world, flow.scratch / f"case{number}", None, 0)
    flow.replayed[case[0]] = flow.replay(flow.scratch / f"case{number}")
    if "error" in result:
        return result["error"]
    got = (result["state"], result["outcome"], result["reason"])
    if got != (state, outcome, reason):
        return f"{got} instead of {(state, outcome, reason)}"
    if effects is not None and world.effects() != effects:
        return f"effects {world.effects()} instead of {effects}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="midwatch-flow-") as scratch:
        flow = crash.Flow(pathlib.Path(args.build).resolve(), "slow-model", pathlib.Path(scratch))
        flow.replayed = {}
        for number, case in enumerate(CASES):
            if args.only not in case[0]:
                continue
            wrong = one(flow, number, case)
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - {case[0]}{': ' + wrong if wrong else ''}", flush=True)
        wrong = "; ".join(f"{name}: {why}" for name, why in flow.replayed.items() if why)
        failed += wrong != ""
        print(f"{'not ok' if wrong else 'ok'} - every one of {len(flow.replayed)} faulty runs replays"
              f"{': ' + wrong if wrong else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
