#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the demo's model service; a runbook finds the slow release in its metrics, rolls back, and
proves it by them. Then every read of the plugin against the same server, and one behind basic auth.

Prints `ok - name` or `not ok - name: why` per case."""
import contextlib
import json
import socket
import sys

import servers
import stand  # pylint: disable=wrong-import-order
from stand import answer_json, expect

WINDOW = 8
RUNBOOK = """
local o = observe {
  p95 = prometheus.quantile(0.95, "http_request_duration_seconds", { service = "api-service" }),
  infer = prometheus.quantile(0.95, "model_inference_seconds", { service = "api-service" }),
  up = prometheus.vector('up{job=$1}', "model", { by = "job", expect = { "model", "gone" } }),
}
if o.p95 <= 1 then no_action "fast" end
local slow_model = hypothesis "the model is slow" { likelihood = "high", impact = "high",
  test = function() return o.infer > 1 and o.up[2].value == 1 end }
local cause = diagnose { slow_model }
if cause == NONE then escalate "not the model" end
remedy("roll back", shell.release { tag = "v1.0" }, {
  verify = function() return observe(prometheus.quantile(0.95, "http_request_duration_seconds", { service = "api-service" })) < 0.9 end,
  within = "25s", every = "1s" })
resolve "fast again"
"""
RULES = """
groups:
  - name: slo
    interval: 1s
    rules:
      - { alert: Always, expr: "up{job='model'} > 0", labels: { severity: page }, annotations: { summary: "{{ $labels.job }}" } }
      - { record: "model:requests:rate", expr: "sum(rate(http_requests_total[8s]))" }
      - { alert: Pending, expr: "vector(1)", for: 1h }
"""
READS = [
    ("value", "observe(prometheus.value('up{job=$1}', 'model'))", 0, r"is 1\.0"),
    ("value of nothing", "observe(prometheus.value('up{job=$1}', 'x\"} or up{job=\"model'))", 3, "no series"),
    ("NaN", "observe(prometheus.value('0 / vector(0)'))", 3, "NaN"),
    ("infinity", "observe(prometheus.value('1 / vector(0)'))", 3, r"\+Inf"),
    ("a scalar", "observe(prometheus.value('scalar(vector(7))'))", 0, r"is 7\.0"),
    ("a syntax error", "observe(prometheus.value('sum(up'))", 3, "HTTP 400"),
    ("two series", "observe(prometheus.value('up'))", 3, "ambiguous.*2 series"),
    ("=~ is literal", "observe(prometheus.value('up{job=~$1}', '.*'))", 3, "no series"),
    ("=~ of a list", "observe(prometheus.value('up{job=~$1}', { 'model', 'a.b' }))", 0, r"is 1\.0"),
    ("a target that is down", "observe(prometheus.vector('up', { by = 'job' }))[1].value", 0, r"is 0\.0"),
    ("age", "observe(prometheus.age('up', { job = 'model' })) < 5", 0, "is true"),
    ("range", "observe(prometheus.range('up{job=$1}', 'model', { window = '10s', step = '1s' }))[1].max", 0, r"is 1\.0"),
    ("range of too many steps", "observe(prometheus.range('up', { window = '4h', step = '1s' }))", 3, "at most 11000"),
    ("series", "observe(prometheus.series('http_requests_total', { service = 'api-service' }))[1].labels.job", 0, "is model"),
    ("alerts", "observe(prometheus.alerts({ alertname = 'Always' }))[1].state", 0, "is firing"),
    ("alerts: pending", "observe(prometheus.alerts({ alertname = 'Pending' }))[1].state", 0, "is pending"),
    ("alerts: the annotation", "observe(prometheus.alerts({ severity = 'page' }))[1].annotations.summary", 0, "is model"),
    ("rules", "observe(prometheus.rules('model:requests:rate'))[1].kind", 0, "is recording"),
    ("rules: health", "observe(prometheus.rules('Always'))[1].health", 0, "is ok"),
    ("targets", "observe(prometheus.targets({ job = 'model' }))[1].health", 0, "is up"),
    ("targets: down, and why", "observe(prometheus.targets({ job = 'dead' }))[1].error", 0, "refused"),
    ("metadata", "observe(prometheus.metadata('http_request_duration_seconds'))[1].kind", 0, "is histogram"),
    ("metadata of nothing", "#observe(prometheus.metadata('nothing_at_all'))", 0, "is 0"),
]
# bcrypt of sesame-4711
WEB = "basic_auth_users: { ops: '$2b$04$rMgnt.ONU8cs0F9IA6UkmuIs.oiqizMQUrdEy4tS5T5AuOet1ilA6' }\n"


@contextlib.contextmanager
def model_service(scratch):
    """The demo's service with the slow release, its load, and a file that says which release serves."""
    release = scratch / "release"
    release.write_text("v1.1")
    cluster = stand.Server(lambda _: answer_json({"releases": {release.read_text().strip(): 3}, "database": 2}))
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    port, demo = sock.getsockname()[1], servers.ROOT / "tests" / "demo"
    with servers.process([sys.executable, demo / "service.py", "--fd", sock.fileno(), "--cluster", cluster.http.server_port],
                         scratch / "service.log", pass_fds=[sock.fileno()], stdin=servers.subprocess.PIPE):
        sock.close()
        servers.wait_until("the service", lambda: servers.get(f"http://127.0.0.1:{port}/health"))
        with servers.process([sys.executable, demo / "load.py", "--port", port, "--rate", "10", "--seconds", "60"],
                             scratch / "load.log", stdin=servers.subprocess.PIPE):
            yield port
    cluster.close()


def scrapes(port):
    return ("global: { scrape_interval: 1s, evaluation_interval: 1s }\nscrape_configs:\n"
            f"  - {{ job_name: model, static_configs: [{{ targets: ['127.0.0.1:{port}'] }}] }}\n"
            f"  - {{ job_name: dead, static_configs: [{{ targets: ['127.0.0.1:1'] }}] }}\n")


def slow_cases(program, scratch, url):
    config = (f"instances:\n  m: {{ plugin: prometheus, url: '{url}', window: {WINDOW}s, interval: 1s }}\n  sh: {{ plugin: shell }}\n"
              f"commands:\n  release: {{ argv: [cp, '{scratch}/{{{{tag}}}}', '{scratch}/release'], params: {{ tag: {{ match: 'v[0-9.]+' }} }},\n"
              "             effect: { class: ensure, target: 'release/{{tag}}', undo: not needed } }\n")
    (scratch / "v1.0").write_text("v1.0")
    box = stand.Box(program, scratch / "box", config, "{ prometheus: m, shell: sh }")
    query = url + "/api/v1/query?query=histogram_quantile(0.95,sum+by+(le)(rate(http_request_duration_seconds_bucket[8s])))"

    def is_slow():
        result = json.loads(servers.get(query))["data"]["result"]
        return result and result[0]["value"][1] not in ("NaN", "+Inf") and float(result[0]["value"][1]) > 1
    servers.wait_until("the slow release in the metrics", is_slow)
    got = box.run(RUNBOOK, 'may:\n  - { effect: shell.release, target: "release/v1.0" }\n')
    yield "the slow release is found, rolled back, and proved", expect(got, 0, "outcome: resolved", "fast again")
    rows = box.rows()
    result = [r["at"] for r in rows if r["kind"] == "RESULT"]
    looks = [r["at"] for r in rows if r["kind"] == "OBS" and result and r["at"] > result[0]]
    yield "the first look waits for the window", None if looks and looks[0] - result[0] >= WINDOW * 1000 else f"{result} {looks}"
    got = box.command("doctor")
    yield "doctor", expect(got, got[0], r"answers queries, release 2\.")
    for name, what, code, pattern in READS:
        yield name, expect(box.run(f"local x = {what}\nresolve('is ' .. tostring(x))"), code, pattern)


def auth_cases(program, scratch):
    (scratch / "password").write_text("sesame-4711\n")
    (scratch / "wrong").write_text("sesame-4712\n")
    for name in ("password", "wrong"):
        (scratch / name).chmod(0o600)
    with servers.prometheus(scratch / "locked", scrapes(1), web=WEB) as url:
        for name, secret, code, pattern in (("basic auth", "password", 0, r"is 1\.0"), ("a wrong password", "wrong", 3,
            "HTTP 401")):
            config = (f"instances: {{ m: {{ plugin: prometheus, url: '{url}', auth: {{ kind: basic, user: ops, secret: s }} }} }}\n"
                      f"secrets: {{ s: {{ file: '{scratch}/{secret}', hosts: ['{url}'] }} }}\n")
            box = stand.Box(program, scratch / f"auth-{secret}", config, "{ prometheus: m }")
            yield name, expect(box.run("resolve('is ' .. observe(prometheus.value('vector(1)')))"), code, pattern)


def cases(program, scratch, only):
    if only in "slow":
        with model_service(scratch) as port, servers.prometheus(scratch / "prometheus", scrapes(port), RULES) as url:
            yield from slow_cases(program, scratch, url)
    if only in "auth":
        yield from auth_cases(program, scratch)


if __name__ == "__main__":
    stand.main(__doc__, cases)
