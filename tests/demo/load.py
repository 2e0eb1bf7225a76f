# SPDX-License-Identifier: Apache-2.0
"""The users: a steady stream of requests against the service, bounded in number and in time.

Requests are sent by the clock, not after the last answer; when too many are in flight the next
ones are given up, as impatient users do. Ends by itself after at most five minutes.
"""
import argparse
import asyncio
import os
import random
import time

import http11
from behaviour import IN_FLIGHT_MAX, REQUESTS_PER_S

SECONDS_MAX = 300


class Load:
    """Counters of one stream: sent, failed (no answer or 5xx), given up."""

    def __init__(self, port):
        self.port, self.sent, self.failed, self.given_up, self.in_flight = port, 0, 0, 0, 0

    async def one(self):
        try:
            status, _ = await http11.request(self.port, "/predict", "POST", {"Content-Type": "application/json"},
                                             b'{"query":"test"}', timeout_s=30)
            self.failed += status >= 500
        except (OSError, asyncio.TimeoutError):
            self.failed += 1
        finally:
            self.in_flight -= 1

    async def run(self, rate, seconds, burst):
        """Sends `burst` requests at once, then `rate` a second."""
        start, tasks, dice, number = time.monotonic(), set(), random.Random(11), 0
        while time.monotonic() - start < min(seconds, SECONDS_MAX):
            if self.in_flight < IN_FLIGHT_MAX:
                self.in_flight += 1
                self.sent += 1
                task = asyncio.create_task(self.one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                self.given_up += 1
            number += 1
            due = start + max(0, number - burst) / rate + dice.uniform(0, 0.5 / rate)
            if number > burst:
                await asyncio.sleep(max(0, due - time.monotonic()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=REQUESTS_PER_S)
    parser.add_argument("--seconds", type=float, default=SECONDS_MAX)
    parser.add_argument("--burst", type=int, default=0, help="requests sent at once at the start")
    args = parser.parse_args()
    http11.end_with_stdin()
    load = Load(args.port)
    await load.run(args.rate, args.seconds, args.burst)
    print(f"load ended: {load.sent} sent, {load.failed} failed, {load.given_up} given up", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)     # the thread of end_with_stdin holds stdin, without which the interpreter does not shut down
