#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole program against a world that misbehaves: every answer of the cluster and of Prometheus that is no plain
answer, with the ending that each must have. Virtual time; the engine, plugins and journal are the real ones.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "crash"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import crash  # noqa: E402
import stand  # noqa: E402

ROLLBACK = [("PATCH", "/apis/apps/v1/namespaces/prod/deployments/api-service")]
DEPLOYMENT = "deployments/api-service$"


def status(code, reason=None, times=1, **more):
    return {"method": "PATCH", "path": DEPLOYMENT, "do": "status", "code": code, "times": times,
            **({"reason": reason} if reason else {}), **more}


def vector(now, *values):
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"series": str(i)}, "value": [now, v]} for i, v in enumerate(values)]}})


# name, rules of the cluster, seconds that its answers take by method, state, outcome, reason, effects
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
    ("the change is answered after its timeout", [], {"PATCH": 120}, "ended", "resolved", "verified", ROLLBACK),
    ("the cluster is slow", [], {"GET": 120}, "ended", "escalated", "inconclusive_cause", []),
]

# What Prometheus answers instead: name, status, body at the time `now`, why p95 is unknown
METRICS = [
    ("connection closed", 0, lambda now: "", "connection closed"),
    ("slow", -1, lambda now: vector(now, "3.1"), "no answer within 10000 ms"),
    ("503", 503, lambda now: "unavailable", "HTTP 503"),
    ("HTML", 200, lambda now: "<html>login</html>", "no JSON"),
    ("empty", 200, vector, "no series"),
    ("NaN", 200, lambda now: vector(now, "NaN"), "NaN"),
    ("infinity", 200, lambda now: vector(now, "+Inf"), r"\+Inf"),
    ("two series", 200, lambda now: vector(now, "3.1", "3.2"), r"\b2 series"),
    ("stale", 200, lambda now: vector(now - 61, "3.1"), "old|stale"),
    ("warnings", 200, lambda now: vector(now, "3.1")[:-1] + ',"warnings":["partial data"]}', "partial"),
    ("an error", 422, lambda now: '{"status":"error","errorType":"execution","error":"boom"}', "boom"),
    ("10,000 series", 200, lambda now: vector(now, *["3.1"] * 10000), "10000 series"),
    ("more than is taken", 200, lambda now: vector(now, "3.1") + " " * (17 << 20), "larger than"),
    ("cut in the middle", 200, lambda now: vector(now, "3.1")[:40], "no JSON"),
    ("deep JSON", 200, lambda now: "[" * 100000, "no JSON"),
    ("no fault", 200, lambda now: vector(now, "0.1"), None),
]


class Faulty(crash.World):
    """A world with planted faults, slow answers, and metrics that may answer something else."""

    def __init__(self, fresh, rules=(), slow=None, metrics=None):
        super().__init__(fresh)
        self.production.world.rules = [dict(rule) for rule in rules]
        self.slow, self.metrics = slow or {}, metrics

    def request(self, message):
        if self.metrics and ":9090" in message["url"]:
            status, body = self.metrics
            return {"status": abs(status) and max(status, 200), "body": body(self.production.now),
                    "delay_ms": 60000 if status < 0 else 20}
        slow = self.slow.get(message["method"], 0) if ":6443" in message["url"] else 0
        return {**super().request(message), **({"delay_ms": slow * 1000} if slow else {})}


def ended(flow, name, world):
    """The run of one case in its world."""
    state = flow.scratch / f"case{len(flow.replayed)}"
    result, _, _ = flow.once(world, state, None, 0)
    flow.replayed[name] = flow.replay(state)
    return result


def metrics_case(flow, case):
    """Runs one case of METRICS; what is wrong, or None."""
    name, status, body, why = case
    world = Faulty(flow.fresh, metrics=(status, body))
    result = ended(flow, "metrics: " + name, world)
    got = tuple(result.get(key) for key in ("state", "outcome", "reason"))
    if got != (("ended", "escalated", "no_data") if why else ("ended", "no_action", "runbook")):
        return str(result)
    if why and not re.search(r"p95 is unknown \(\w+\): .*" + why, result["text"]):
        return f"no /{why}/ in: {result['text']}"
    return f"effects {world.effects()}" if world.effects() else None


def cluster_case(flow, case):
    """Runs one case of CASES; what is wrong, or None."""
    name, rules, slow, state, outcome, reason, effects = case
    world = Faulty(flow.fresh, rules, slow)
    result = ended(flow, name, world)
    if "error" in result:
        return result["error"]
    got = (result["state"], result["outcome"], result["reason"])
    if got != (state, outcome, reason):
        return f"{got} instead of {(state, outcome, reason)}"
    if effects is not None and world.effects() != effects:
        return f"effects {world.effects()} instead of {effects}"
    return None


def cases(program, scratch, only):
    flow = crash.Flow(program.parent, "slow-model", scratch)
    flow.replayed = {}
    for run, case in [(cluster_case, case) for case in CASES] + [(metrics_case, case) for case in METRICS]:
        name = ("metrics: " if run is metrics_case else "") + case[0]
        if only in name:
            yield name, run(flow, case)
    wrong = "; ".join(f"{name}: {why}" for name, why in flow.replayed.items() if why)
    yield f"every one of {len(flow.replayed)} faulty runs replays", wrong or None


if __name__ == "__main__":
    stand.main(__doc__, cases)
