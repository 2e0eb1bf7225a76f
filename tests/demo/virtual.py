# SPDX-License-Identifier: Apache-2.0
"""The whole demo production in virtual time: no sockets, no threads, no waiting, the same parts.

`advance` lets users, service, controllers and scrapes do what they would have done until a time.
As a program it speaks JSON lines on stdin and stdout, for a test that owns the clock:

    {"now": 12.5, "to": "cluster", "method": "PATCH", "target": "/apis/...?dryRun=All", "headers": {}, "body": "..."}
        -> {"status": 200, "headers": {...}, "body": "..."}; status null: no answer, the connection broke
    {"now": 40}      -> {"now": 1800000040.0}     only lets time pass; now counts from the moment of readiness
    {"reset": true}  -> {"now": 1800000000.0}     back to the moment of readiness
    {"effects": true} -> {"effects": [...]}       what changed something, {"log": true} every write
    {"rule": {...}}  -> {}                        plants a fault into the cluster
    {"world": true}  -> {"world": {...}}          the dumped cluster
"""
import argparse
import copy
import heapq
import json
import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import http11  # noqa: E402
import scene  # noqa: E402
from behaviour import IN_FLIGHT_MAX, REQUESTS_PER_S, Behaviour, Exposition  # noqa: E402
from metrics import SCRAPE_EVERY_S, answer_query  # noqa: E402
from series import Store  # noqa: E402
from service import FOLLOW_EVERY_S  # noqa: E402

READY_AT_S = 1_800_000_000.0
WARM_S = 30
TARGET = {"instance": "127.0.0.1:8080", "job": "model-service"}


class VirtualProduction:
    """One production that is ready at `ready_at`, with its trouble in the metrics."""

    def __init__(self, fault, ready_at=READY_AT_S):
        self.fault, self.now, self.ready_at = fault, ready_at - WARM_S, ready_at
        self.world = scene.build(fault, self.clock)
        self.behaviour, self.exposition, self.store = Behaviour(fault), Exposition(scene.SERVICE), Store()
        self.flying, self.serial = [], 0
        self.todo = [(self.now, 0, "follow"), (self.now, 1, "scrape"), (self.now, 2, "arrive")]
        self.advance(ready_at)

    def clock(self):
        return self.now

    def advance(self, until):
        """Lets everything happen that is due until a time, in order."""
        while self.todo[0][0] <= until:
            self.now, _, kind = heapq.heappop(self.todo)
            self._finish()
            again = getattr(self, "_" + kind)()
            self.serial += 1
            heapq.heappush(self.todo, (self.now + again, 2 + self.serial, kind))
        self.now = max(self.now, until)
        self.world.tick()

    def _finish(self):
        while self.flying and self.flying[0][0] <= self.now:
            _, _, timing = heapq.heappop(self.flying)
            self.exposition.finish(timing, timing.total)

    def _follow(self):
        self.behaviour.follow(self.world.traffic(scene.NAMESPACE, scene.SERVICE, scene.DATABASE), self.now)
        return FOLLOW_EVERY_S

    def _scrape(self):
        self.store.scraped(TARGET, self.now, self.exposition.text(self.behaviour, self.now))
        return SCRAPE_EVERY_S

    def _arrive(self):
        if len(self.flying) < IN_FLIGHT_MAX:
            timing = self.behaviour.arrive(self.now)
            self.serial += 1
            heapq.heappush(self.flying, (self.now + timing.total, self.serial, timing))
        return 1 / REQUESTS_PER_S

    def request(self, to, method, target, headers=None, body=b""):
        """One request to `cluster` or `metrics`: (status, headers, body); status None is no answer."""
        headers = {k.lower(): v for k, v in (headers or {}).items()}
        request = http11.Request(method, target, headers, body)
        if to == "cluster":
            return self.world.handle(method, request.path, request.query, headers, body)
        if self.fault == "metrics-down":
            return None, {}, b""
        if request.path in ("/-/ready", "/-/healthy"):
            return 200, {}, b"Prometheus Server is Ready.\n"
        if request.path != "/api/v1/query":
            return 404, {}, b"404 page not found\n"
        status, envelope = answer_query(self.store, request.form(), self.now)
        return status, {"Content-Type": "application/json"}, json.dumps(envelope).encode()

    def number(self, query):
        """The value of a query with one result, or None."""
        result = answer_query(self.store, {"query": query}, self.now)[1]["data"]["result"]
        return float(result[0]["value"][1]) if len(result) == 1 else None


def command(production, line):
    """Answers one line; `now` never goes back."""
    if "now" in line:
        production.advance(max(production.now, production.ready_at + line["now"]))
    if "to" in line:
        status, headers, body = production.request(line["to"], line.get("method", "GET"), line["target"],
                                                   line.get("headers"), line.get("body", "").encode())
        return {"status": status, "headers": headers, "body": body.decode()}
    if "rule" in line:
        production.world.rules.append(line["rule"])
        return {}
    for word, value in (("effects", production.world.effects()), ("log", production.world.log)):
        if word in line:
            return {word: value}
    if "world" in line:
        return {"world": json.loads(production.world.dump())}
    return {"now": production.now}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--fault", default="slow-model", choices=scene.FAULTS)
    fresh = VirtualProduction(parser.parse_args().fault)
    production = copy.deepcopy(fresh)
    for text in sys.stdin:
        try:
            line = json.loads(text)
            if "reset" in line:
                production = copy.deepcopy(fresh)
            answer = command(production, line)
        except (ValueError, KeyError, TypeError, AttributeError) as bad:
            answer = {"error": f"{type(bad).__name__}: {bad}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
