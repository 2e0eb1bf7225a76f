# SPDX-License-Identifier: Apache-2.0
"""The metrics server as a process: scrapes the service every second and answers instant queries.

Speaks the part of the Prometheus HTTP API that a reader of values needs: /api/v1/query by GET and
by POST form, /-/ready, /-/healthy.
"""
import argparse
import asyncio
import datetime
import json
import math
import socket
import time

import http11
import promql
from series import Store

SCRAPE_EVERY_S = 1.0


def number_text(value):
    """A sample value as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def parse_time(text):
    """Unix seconds or RFC 3339."""
    try:
        value = float(text)
        if math.isfinite(value):
            return value
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise promql.BadQuery(f'cannot parse "{text}" to a valid timestamp')
    return moment.timestamp()


def answer_query(store, form, now):
    """(HTTP status, envelope) for one /api/v1/query; pure."""
    try:
        at = parse_time(form["time"]) if "time" in form else now
        try:
            value = promql.query(store, form.get("query", ""), at)
        except promql.BadQuery as bad:
            raise promql.BadQuery(f'invalid parameter "query": {bad}') from None
    except promql.BadQuery as bad:
        return 400, {"status": "error", "errorType": "bad_data", "error": str(bad)}
    at = round(at, 3)
    if isinstance(value, list):
        data = {"resultType": "vector",
                "result": [{"metric": labels, "value": [at, number_text(v)]} for labels, v in value]}
    elif isinstance(value, str):
        data = {"resultType": "string", "result": [at, value]}
    else:
        data = {"resultType": "scalar", "result": [at, number_text(value)]}
    return 200, {"status": "success", "data": data}


class Metrics:
    """The store, the scraper and the HTTP API around it."""

    def __init__(self, target_port):
        self.store, self.port = Store(), target_port
        self.target = {"instance": f"127.0.0.1:{target_port}", "job": "model-service"}

    async def scrape(self):
        while True:
            start, text = time.monotonic(), None
            when = time.time()
            try:
                status, body = await http11.request(self.port, "/metrics", timeout_s=SCRAPE_EVERY_S)
                text = body.decode("utf-8", "replace") if status == 200 else None
            except (OSError, asyncio.TimeoutError):
                pass
            self.store.scraped(self.target, when, text)
            await asyncio.sleep(max(0.05, SCRAPE_EVERY_S - (time.monotonic() - start)))

    async def handle(self, request):
        if request.path in ("/-/ready", "/-/healthy"):
            return 200, {"Content-Type": "text/plain"}, b"Prometheus Server is Ready.\n"
        if request.path == "/api/v1/status/buildinfo":
            data = {"version": "the stand-in"}
            return 200, {"Content-Type": "application/json"}, json.dumps({"status": "success", "data": data}).encode()
        if request.path != "/api/v1/query":
            return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"
        if request.method not in ("GET", "POST"):
            return 405, {"Content-Type": "text/plain", "Allow": "GET, POST"}, b"Method Not Allowed\n"
        status, envelope = answer_query(self.store, request.form(), time.time())
        return status, {"Content-Type": "application/json"}, json.dumps(envelope).encode()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="bound socket, inherited")
    parser.add_argument("--target", type=int, required=True, help="port whose /metrics is scraped")
    args = parser.parse_args()
    http11.end_with_stdin()
    metrics = Metrics(args.target)
    scraping = asyncio.create_task(metrics.scrape())
    async with await http11.serve(metrics.handle, socket.socket(fileno=args.fd)):
        await scraping


if __name__ == "__main__":
    asyncio.run(main())
