# SPDX-License-Identifier: Apache-2.0
"""The model service as a process: answers /predict and /metrics, and follows the cluster.

A request sleeps for the time that `behaviour` decides, so the load costs no processor time; what
the histograms hold of a request is the time it really took.
"""
import argparse
import asyncio
import json
import socket
import time

import http11
from behaviour import Behaviour, Exposition

FOLLOW_EVERY_S = 0.2
IN_FLIGHT_MAX = 500


class Service:
    """One service: its timing model, its metrics and the requests in flight."""

    def __init__(self, name, fault):
        self.behaviour, self.metrics, self.in_flight = Behaviour(fault), Exposition(name), 0

    async def handle(self, request):
        if request.path == "/metrics":
            text = self.metrics.text(self.behaviour, time.monotonic())
            return 200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, text.encode()
        if request.path == "/health":
            return 200, {"Content-Type": "text/plain"}, b"ok\n"
        if request.path == "/predict":
            return await self.predict()
        return 404, {"Content-Type": "text/plain"}, b"not found\n"

    async def predict(self):
        if self.in_flight >= IN_FLIGHT_MAX:
            return 503, {"Content-Type": "application/json"}, b'{"error":"overloaded"}'
        start = time.monotonic()
        timing = self.behaviour.arrive(start)
        self.in_flight += 1
        try:
            await asyncio.sleep(timing.total)
        finally:
            self.in_flight -= 1
        self.metrics.finish(timing, time.monotonic() - start)
        return timing.code, {"Content-Type": "application/json"}, json.dumps({"release": timing.release}).encode()

    async def follow(self, cluster_port):
        """Asks the cluster who serves; keeps the last answer while the cluster is silent."""
        while True:
            try:
                status, body = await http11.request(cluster_port, "/internal/traffic", timeout_s=2)
                if status == 200:
                    self.behaviour.follow(json.loads(body), time.monotonic())
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(FOLLOW_EVERY_S)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="bound socket, inherited")
    parser.add_argument("--cluster", type=int, required=True, help="port of the internal door of the cluster")
    parser.add_argument("--name", default="api-service")
    parser.add_argument("--fault", default="none")
    args = parser.parse_args()
    http11.end_with_stdin()
    service = Service(args.name, args.fault)
    following = asyncio.create_task(service.follow(args.cluster))
    async with await http11.serve(service.handle, socket.socket(fileno=args.fd)):
        await following


if __name__ == "__main__":
    asyncio.run(main())
