#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole program against a world that misbehaves: every answer of the cluster and of Prometheus that is no plain
answer, with the ending that each must have. Virtual time; the engine, plugins and journal are the real ones.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import pathlib
import re
import subprocess
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

# A pool whose size can be read and set, and a load that Prometheus knows.
POOL = """instances:
  pool:
    plugin: http
    url: "http://127.0.0.1:7070"
    requests:
      size: { path: /size, read: { returns: integer } }
      set:  { method: PUT, path: "/size/{{n}}", params: { n: { type: integer } },
              effect: { class: ensure, target: pool, state: size, sets: n } }
      once: { method: PUT, path: "/size/{{n}}", params: { n: { type: integer } },
              effect: { class: never_twice, target: pool, state: size, sets: n } }
  metrics: { plugin: prometheus, url: "http://127.0.0.1:9090", window: 10s }
"""
BOOK = """---
runbook: pool
summary: a case
uses: { http: pool, prometheus: metrics }
may: [ { effect: http.set, target: pool }, { effect: http.once, target: pool } ]
limits: { cooldown: 0s }
---
# Pool
```lua
local function high() return observe(prometheus.value("load")) > 1 end
local function low() return observe(prometheus.value("load")) < 1 end
%s
resolve "done"
```
"""
STAYS = 'remedy("it", http.set { n = 5 }, { verify = "applied" })'
ONCE = 'remedy("it", http.once { n = 5 }, { verify = "applied" })'
HELPS = 'remedy("it", http.set { n = 5 }, { verify = low, within = "1m", first_look = "1s" })'
ASKED = 'remedy("it", http.set { n = 5 }, { verify = "applied", %s = high })'
FAILS = 'try(function() remedy("it", http.set { n = 5 }, { verify = function() error("broken", 0) end, when = high }) end)'
TWO = 'remedy("it", { http.set { n = 3 }, function() return http.set { n = 5 } end }, { when = high, within = "1m", %s })'
BESIDE = 'parallel { function() remedy("it", http.set { n = 5 }, { verify = "applied" }) end, function() sleep "5s" resolve "r" end }'
DONE, GONE, SAID = "done", "gone", "said"
LATE_S = 32             # behind the deadline of a change (30 s), within the grace
# How it ends, and whether its target stays locked.
RESOLVED, PARKED = ("ended", "resolved", "verified", False), ("waiting: person", "", "", True)


def escalated(reason, locked=False):
    return "ended", "escalated", reason, locked


# name, code, what becomes of each change (the last word stands for all that follow: done, gone without an answer, only said to
# be done, or the seconds until it arrives, without an answer), answers before the size cannot be read any more, loads before
# the change and behind it (None = no data; a negative one is its sample from before the change), the end, changes that were
# asked for, size
POOLS = [
    ("it is as it should be", HELPS, [DONE], 99, (3, 0.5), RESOLVED, 1, 5),
    ("the last look before the change is not answered", STAYS, [DONE], 1, (), escalated("no_data"), 0, 1),
    ("`when` cannot be told", ASKED % "when", [DONE], 99, (None,), escalated("no_data"), 0, 1),
    ("`skip_if` cannot be told", ASKED % "skip_if", [DONE], 99, (None,), escalated("no_data"), 0, 1),
    ("whether it is needed cannot be told", HELPS, [DONE], 99, (None,), escalated("no_data"), 0, 1),
    ("whether it helped cannot be told", HELPS, [DONE], 99, (3, None), escalated("unverified", True), 1, 5),
    ("what shows that it helped is older than it", HELPS, [DONE], 99, (3, -0.5), escalated("unverified", True), 1, 5),
    ("what shows that two helped is older than the second", TWO % 'verify = low, pause = "10s"', [DONE], 99, (3, -0.5),
     escalated("unverified", True), 2, 5),
    ("between two it cannot be told", TWO % 'verify = "applied", between = low', [DONE], 99, (3, None), escalated("no_data"), 1, 3),
    ("it is accepted, and cannot be read any more", STAYS, [DONE], 2, (), PARKED, 1, 5),
    ("it is accepted, and not done", STAYS, [SAID, DONE], 99, (), RESOLVED, 2, 5),
    ("it is accepted, and never done", STAYS, [SAID], 99, (), escalated("error"), 2, 1),
    ("it arrives behind its deadline", STAYS, [LATE_S], 99, (), RESOLVED, 1, 5),
    ("it arrives behind its deadline, and is never sent twice", ONCE, [LATE_S], 99, (), RESOLVED, 1, 5),
    ("it arrives when the connection is long gone", STAYS, [12], 99, (), RESOLVED, 1, 5),
    ("it is lost, and sent again", STAYS, [GONE, DONE], 99, (), RESOLVED, 2, 5),
    ("it is lost, and never sent twice", ONCE, [GONE, DONE], 99, (), escalated("error"), 1, 1),
    ("what nobody has proven is not resolved", FAILS, [DONE], 99, (3,), escalated("error", True), 1, 5),
    ("nor is it no action", FAILS + ' no_action "n"', [DONE], 99, (3,), escalated("error", True), 1, 5),
    ("nor refused", FAILS + ' refuse "r"', [DONE], 99, (3,), escalated("error", True), 1, 5),
    ("what is under way is not resolved", BESIDE, [12], 99, (), escalated("error"), 1, 5),
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


class Pool(crash.World):
    """A pool of one, a case of POOLS, at a time of its own."""

    def __init__(self, fresh, case):
        super().__init__(fresh)
        _, _, self.changes, self.looks, self.loads, _, _, _ = case
        self.size, self.asked, self.flying, self.changed_at = 1, 0, [], 0

    def tick(self, wall_ms):
        self.wall_ms = max(self.wall_ms, wall_ms)
        for at, n in [f for f in self.flying if f[0] <= self.wall_ms]:
            self.flying.remove((at, n))
            self.size = n

    def change(self, n):
        becomes = self.changes[min(self.asked, len(self.changes) - 1)]
        self.asked += 1
        self.changed_at = self.wall_ms / 1000
        if becomes == DONE:
            self.size = n
        elif isinstance(becomes, int):
            self.flying.append((self.wall_ms + becomes * 1000, n))
        answered = becomes in (DONE, SAID)
        return {"status": 200 if answered else 0, "body": ""}

    def load(self):
        now, load = self.wall_ms / 1000, self.loads[-1 if self.changed_at else 0]
        if load is None:
            return {"status": 200, "body": vector(now)}
        return {"status": 200, "body": vector(self.changed_at - 1 if load < 0 else now, str(abs(load)))}

    def request(self, message):
        if ":9090" in message["url"]:
            return self.load()
        if message["method"] == "PUT":
            return self.change(int(message["url"].rsplit("/", 1)[1]))
        self.looks -= 1
        return {"status": 200 if self.looks >= 0 else 503, "body": str(self.size)}


def ended(flow, name, world):
    """The run of one case in its world."""
    flow.state = flow.scratch / f"case{len(flow.replayed)}"
    result, _, _ = flow.once(world, flow.state, None, 0)
    flow.replayed[name] = flow.replay(flow.state)
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


def pool_case(flow, case):
    """Runs one case of POOLS; what is wrong, or None."""
    name, code, _, _, _, end, asked, size = case
    (flow.scratch / "midwatch.yaml").write_text(POOL)
    flow.runbook = flow.scratch / "pool.md"
    flow.runbook.write_text(BOOK % code)
    world = Pool(flow.fresh, case)
    result = ended(flow, name, world)
    got = tuple(result.get(key) for key in ("state", "outcome", "reason"))
    if got != end[:3] or (world.asked, world.size) != (asked, size):
        return f"{result}, asked for {world.asked} times, size {world.size}"
    p = subprocess.run([flow.child.parent / "midwatch", "list", "--state", flow.state], text=True, capture_output=True, check=False)
    return None if ("locked: pool:pool" in p.stdout) == end[3] else f"{'free' if end[3] else 'locked'}: {p.stdout}"


def cases(program, scratch, only):
    flow = crash.Flow(program.parent, "slow-model", scratch)
    flow.replayed = {}
    for run, case in [(cluster_case, case) for case in CASES] + [(metrics_case, case) for case in METRICS] + \
            [(pool_case, case) for case in POOLS]:
        name = {metrics_case: "metrics: ", pool_case: "pool: "}.get(run, "") + case[0]
        if only in name:
            yield name, run(flow, case)
    wrong = "; ".join(f"{name}: {why}" for name, why in flow.replayed.items() if why)
    yield f"every one of {len(flow.replayed)} faulty runs replays", wrong or None


if __name__ == "__main__":
    stand.main(__doc__, cases)
