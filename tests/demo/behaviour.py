# SPDX-License-Identifier: Apache-2.0
"""How long the model service takes: a pure queueing model of its pods and its database.

Every request waits for a database connection, then for a place in a pod, and holds each for a
while. The times follow from who serves (releases and replicas) and from what is broken; nobody
is told what a metric should be. Takes times as arguments, so it runs under any clock.
"""
import heapq
import random

SLOW_RELEASES = {"v1.1"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0,
           5.0, 7.5, 10.0)
FAST_S, SLOW_S, CRAMPED_S = (0.045, 0.11, 0.065), (2.05, 2.75, 2.3), (0.12, 0.17, 0.15)
QUERY_S, BROKEN_QUERY_S = (0.004, 0.03, 0.01), (0.15, 0.19, 0.17)
PLACES, CRAMPED_PLACES = 28, 1
CONNECTIONS, BROKEN_CONNECTIONS = 40, 2
REQUESTS_PER_S = 25
IN_FLIGHT_MAX = 64
BUSY_WINDOW_S = 3.0


class Queue:
    """A number of servers, each with the time when it is free; first come, first served."""

    def __init__(self):
        self.free_at, self.holds = [], []

    def resize(self, count, now):
        while len(self.free_at) < count:
            heapq.heappush(self.free_at, now)
        if len(self.free_at) > count:
            self.free_at = sorted(self.free_at)[:count]

    def take(self, now, hold):
        """Occupies the first free server; returns the end of the hold."""
        start = max(now, self.free_at[0])
        heapq.heapreplace(self.free_at, start + hold)
        heapq.heappush(self.holds, (start + hold, start))
        return start + hold

    def busy(self, now):
        """The number of servers that work at a time; reserved ones do not."""
        while self.holds and self.holds[0][0] <= now:
            heapq.heappop(self.holds)
        return min(len(self.free_at), sum(1 for _, start in self.holds if start <= now))


class Timing:
    """What one request will take, in seconds, and how it ends."""

    def __init__(self, code, query=0.0, inference=0.0, total=0.0, release=None):
        self.code, self.query, self.inference, self.total, self.release = code, query, inference, total, release


class Behaviour:
    """The service under one fault; `follow` tells it who serves, `arrive` times one request."""

    def __init__(self, fault, seed=7):
        self.random, self.fault = random.Random(seed), fault
        self.places, self.connections = Queue(), Queue()
        self.releases, self.samples = {}, []

    def follow(self, traffic, now):
        """Takes over {"releases": {tag: ready pods}, "database": ready pods}."""
        self.releases = dict(sorted(traffic["releases"].items()))
        self.places.resize(sum(self.releases.values()) * (CRAMPED_PLACES if self.fault == "capacity" else PLACES), now)
        each = BROKEN_CONNECTIONS if self.fault == "db" else CONNECTIONS
        self.connections.resize(max(1, traffic["database"]) * each, now)

    def _draw(self, shape):
        return self.random.triangular(*shape)

    def arrive(self, now):
        """Decides one request that arrives now."""
        if not self.places.free_at:
            return Timing(503)
        release = self.random.choices(list(self.releases), list(self.releases.values()))[0]
        query_end = self.connections.take(now, self._draw(BROKEN_QUERY_S if self.fault == "db" else QUERY_S))
        if release in SLOW_RELEASES:
            inference = self._draw(SLOW_S)
        else:
            inference = self._draw(CRAMPED_S if self.fault == "capacity" else FAST_S)
        end = self.places.take(query_end, inference)
        self.look(now)
        return Timing(200, query_end - now, inference, end - now, release)

    def look(self, now):
        """Remembers how many places are busy."""
        self.samples.append((now, self.places.busy(now), len(self.places.free_at)))
        while self.samples and self.samples[0][0] < now - BUSY_WINDOW_S:
            self.samples.pop(0)

    def busy_ratio(self, now):
        """The busy share of the places over the last seconds."""
        self.look(now)
        total = sum(s[2] for s in self.samples)
        return sum(s[1] for s in self.samples) / total if total else 0.0


class Exposition:
    """The metrics of the service in the Prometheus text format."""

    NAMES = {"http_request_duration_seconds": "Time of a request, from arrival to answer.",
             "model_inference_seconds": "Time the model needed.",
             "db_query_seconds": "Time of the database query, waiting for a connection included."}

    def __init__(self, service):
        self.service = service
        self.counts = {name: [0] * (len(BUCKETS) + 1) for name in self.NAMES}
        self.sums = {name: 0.0 for name in self.NAMES}
        self.codes = {}

    def observe(self, name, value):
        at = next((i for i, le in enumerate(BUCKETS) if value <= le), len(BUCKETS))
        self.counts[name][at] += 1
        self.sums[name] += value

    def finish(self, timing, total):
        """Counts a request that has ended."""
        self.codes[timing.code] = self.codes.get(timing.code, 0) + 1
        self.observe("http_request_duration_seconds", total)
        if timing.code == 200:
            self.observe("model_inference_seconds", timing.inference)
            self.observe("db_query_seconds", timing.query)

    def text(self, behaviour, now):
        label, lines = f'service="{self.service}"', []
        for name, about in self.NAMES.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
            below = 0
            for le, count in zip(BUCKETS + ("+Inf",), self.counts[name]):
                below += count
                lines.append(f'{name}_bucket{{{label},le="{le}"}} {below}')
            lines += [f"{name}_sum{{{label}}} {self.sums[name]:.6f}", f"{name}_count{{{label}}} {below}"]
        lines += ["# HELP http_requests_total Answered requests.", "# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{{label},code="{code}"}} {n}' for code, n in sorted(self.codes.items())]
        lines += ["# HELP service_busy_ratio Busy share of the places of all pods.", "# TYPE service_busy_ratio gauge",
                  f"service_busy_ratio{{{label}}} {behaviour.busy_ratio(now):.4f}"]
        return "\n".join(lines) + "\n"
