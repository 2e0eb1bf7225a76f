#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The prometheus plugin against a server that answers what it should and what it should not.

Prints `ok - name` or `not ok - name: why` per case."""
import pathlib
import sys
import time

import stand
from stand import answer_json, expect

NOW = time.time()


def success(data, **more):
    return answer_json({"status": "success", "data": data, **more})


def vector(*series, **more):
    return success({"resultType": "vector", "result": [
        {"metric": metric, "value": [NOW, value]} for metric, value in series]}, **more)


def matrix(*series):
    return success({"resultType": "matrix", "result": [{"metric": m, "values": v} for m, v in series]})


def pods(n):
    return [({"pod": f"p{i:05}", "job": "api"}, str(i)) for i in range(n)]


def show(what):
    return f"local x = observe({what})\n"


ALERTS = {"alerts": [
    {"labels": {"alertname": "B", "service": "api"}, "annotations": {"summary": "b"}, "state": "firing",
     "activeAt": "2026-11-22T18:04:05.123Z", "value": "1.5e+00"},
    {"labels": {"alertname": "A", "service": "web"}, "annotations": {}, "state": "pending",
        "activeAt": "2026-11-22T18:04:05+00:00",
     "value": "NaN"}]}
RULES = {"groups": [{"name": "g", "rules": [
    {"name": "HighLatency", "type": "alerting", "query": "x > 2", "health": "ok", "state": "firing", "lastError": "",
     "lastEvaluation": "2026-11-22T18:04:05Z"},
    {"name": "x:rate", "type": "recording", "query": "rate(x[5m])", "health": "err", "lastError": "boom"}]}]}
TARGETS = {"activeTargets": [
    {"labels": {"job": "api", "instance": "a:1"}, "health": "up", "lastScrape": "2026-11-22T18:04:05Z",
        "lastScrapeDuration": 0.01},
    {"labels": {"job": "api", "instance": "b:1"}, "health": "down", "lastError": "refused\x1b[2J",
     "lastScrape": "0001-01-01T00:00:00Z"}]}
METADATA = {"x_total": [{"type": "counter", "help": "how many", "unit": ""}]}
POINTS = [[NOW - 30 + i, v] for i, v in enumerate(("1", "NaN", "3", "+Inf", "5"))]

# name, the code (ends the run by itself), the answer, exit code, what must be said
CASES = [
    ("value", "resolve(tostring(observe(prometheus.value('up'))))", vector(({}, "1")), 0, r"1\.0"),
    ("value: a scalar", "resolve(tostring(observe(prometheus.value('1'))))",
     success({"resultType": "scalar", "result": [NOW, "42.5"]}), 0, r"42\.5"),
    ("value: an exponent", "resolve(tostring(observe(prometheus.value('x'))))", vector(({}, "1.5e-05")), 0, r"1\.5e-05"),
    ("value: no series", "observe(prometheus.value('up'))", vector(), 3, r"no_data: no series|no series: up"),
    ("value: no series behind a comparison says so", "observe(prometheus.value('up > 2'))", vector(), 3,
     r"compares without bool"),
    ("value: absent = 0", "resolve('it is ' .. observe(prometheus.value('up', { absent = 0 })))", vector(), 0, r"it is 0"),
    ("value: two series", "observe(prometheus.value('up'))", vector(*pods(2)), 3, r"ambiguous.*2 series.*p00000.*p00001"),
    ("value: NaN", "observe(prometheus.value('up'))", vector(({}, "NaN")), 3, r"NaN"),
    ("value: infinity is no number", "observe(prometheus.value('up', { absent = 0 }))", vector(({}, "+Inf")), 3, r"\+Inf"),
    ("value: minus infinity", "observe(prometheus.value('up'))", vector(({}, "-Inf")), 3, r"-Inf"),
    ("value: a text", "observe(prometheus.value('up'))", vector(({}, "many")), 3, r"many"),
    ("value: a string result", "observe(prometheus.value('\"x\"'))", success({"resultType": "string", "result": [NOW, "x"]}), 3,
     r"gives a string"),
    ("value: a native histogram", "observe(prometheus.value('h'))", success({"resultType": "vector", "result": [
        {"metric": {}, "histogram": [NOW, {"count": "1", "sum": "2"}]}]}), 3, r"native histogram"),
    ("value: stale", "observe(prometheus.value('up'))", success({"resultType": "vector", "result": [
        {"metric": {}, "value": [NOW - 500, "1"]}]}), 3, r"stale"),
    ("value: warnings mean partial", "observe(prometheus.value('up'))", vector(({}, "1"), warnings=["store eu-1\x07 is down"]), 3,
     r"partial: store eu-1 is down|partial: store eu-1  is down"),
    ("value: infos are fine", "resolve(tostring(observe(prometheus.value('up'))))", vector(({}, "1"), infos=["a hint"]), 0, None),
    ("value: an error of the query", "observe(prometheus.value('up{'))",
     answer_json({"status": "error", "errorType": "bad_data", "error": "parse error"}, 400), 3, r"HTTP 400: parse error"),
    ("value: HTML", "observe(prometheus.value('up'))", (200, {"Content-Type": "text/html"}, "<html>login</html>"), 3,
     r"no JSON: <html>"),
    ("value: empty body", "observe(prometheus.value('up'))", (200, {}, ""), 3, r"no JSON"),
    ("value: null", "observe(prometheus.value('up'))", answer_json(None), 3, r"no JSON"),
    ("value: data vanished", "observe(prometheus.value('up'))", answer_json({"status": "success"}), 3, r"without data"),
    ("value: result vanished", "observe(prometheus.value('up'))", success({"resultType": "vector"}), 3, r"not a vector"),
    ("value: wrong types", "observe(prometheus.value('up'))", success({"resultType": "vector", "result": [{"metric": 1,
     "value": "x"}]}),
     3, r"without a number"),
    ("value: a sample without time", "observe(prometheus.value('up'))", success({"resultType": "vector", "result": [
        {"metric": {}, "value": [None, "1"]}]}), 3, r"no \[time, value\]"),
    ("value: bad UTF-8", "observe(prometheus.value('up'))", (200, {}, b'{"status":"\xff\xfe"}'), 3, r"HTTP 200"),
    ("value: deep JSON", "observe(prometheus.value('up'))", (200, {}, "[" * 100000), 3, r"no JSON"),
    ("value: a huge answer", "observe(prometheus.value('up'))", (200, {}, b" " * (5 << 20)), 3, r"more than|bytes"),
    ("value: hung up", "observe(prometheus.value('up'))", None, 3, r"closed without an answer"),
    ("value: slow", "observe(prometheus.value('up'))", 3, 3, r"no whole answer within 1000 ms"),
    ("value: a window without $window", "observe(prometheus.value('up', { window = '1m' }))", vector(), 3,
     r"does not name \$window"),
    ("value: a placeholder without a value", "observe(prometheus.value('up{a=$2}', 'x'))", vector(), 3, r"names \$2"),
    ("value: a list where one is wanted", "observe(prometheus.value('up{a=$1}', { 'x', 'y' }))", vector(), 3, r"behind =~"),

    ("vector", show("prometheus.vector('up', { by = 'pod' })") + "resolve(#x .. ' ' .. x[1].name .. ' ' .. x[2].value .. ' ' .. x[2].labels.job)",
     vector(*reversed(pods(2))), 0, r"2 p00000 1\.0 api"),
    ("vector: none", show("prometheus.vector('up')"), vector(), 3, r"no series"),
    ("vector: none, absent = {}", show("prometheus.vector('up', { absent = {} })") + "resolve('n ' .. #x)", vector(), 0, r"n 0"),
    ("vector: one", show("prometheus.vector('up')") + "resolve(x[1].name)", vector(({"a": "1", "b": "2"}, "7")), 0, r"a=1,b=2"),
    ("vector: 10,000 are too many", show("prometheus.vector('up', { by = 'pod' })"), vector(*pods(10000)), 3,
     r"10000 series, more than the 1000"),
    ("vector: 10,000 where at_most allows it", show("prometheus.vector('up', { by = 'pod', at_most = 10000 })") + "resolve('n ' .. #x)",
     vector(*pods(10000)), 0, r"n 10000"),
    ("vector: expect makes a missing series unknown",
     show("prometheus.vector('up', { by = 'pod', expect = { 'p00000', 'gone' } })") + "note('n ' .. #x) if x[1].name == 'gone' then resolve(tostring(x[1].value)) end",
     vector(*pods(1)), 3, r"x\[1\]\.value|\[1\]\.value is unknown \(no_data\): no series"),
    ("vector: expect, and no series at all", show("prometheus.vector('up', { by = 'pod', expect = { 'a', 'b' } })") + "resolve('n ' .. #x)",
     vector(), 0, r"n 2"),
    ("vector: any beats a missing one", show("prometheus.vector('up', { by = 'pod', expect = { 'a', 'p00001' } })") +
     "if any { function() return x[1].value > 0 end, function() return x[2].value > 0 end } then resolve 'one is up' end",
     vector(*pods(2)[1:]), 0, r"one is up"),
    ("vector: expect without by", show("prometheus.vector('up', { expect = { 'a' } })"), vector(), 3, r"expect wants by"),
    ("vector: NaN is an unknown element", show("prometheus.vector('up', { by = 'pod' })") + "note(x[1].name) resolve(tostring(x[1].value))",
     vector(({"pod": "a"}, "NaN")), 3, r"value is unknown \(no_data\): NaN"),
    ("vector: two series of one name", show("prometheus.vector('up', { by = 'job' })"), vector(*pods(2)), 3,
     r"ambiguous.*two series for 'api'"),
    ("vector: a series without the label", show("prometheus.vector('up', { by = 'zone' })"), vector(*pods(1)), 3,
     r"without the label 'zone'"),
    ("vector: an unknown field", show("prometheus.vector('up')") + "resolve(x[1].valeu)", vector(*pods(1)), 3,
     r"valeu.*did you mean 'value'"),
    ("vector: an unknown label", show("prometheus.vector('up')") + "resolve(x[1].labels.pdo)", vector(*pods(1)), 3,
     r"pdo.*did you mean 'pod'"),
    ("vector: an unknown option", show("prometheus.vector('up', { expct = {} })"), vector(), 3, r"expct.*did you mean 'expect'"),
    ("vector: control bytes in labels", show("prometheus.vector('up')") + "resolve(x[1].name)", vector(({"a": "x\x1b[2J\x00y"},
     "1")), 0, r"resolved"),

    ("range", show("prometheus.range('x', { window = '1m', step = '1s' })") +
     "local s = x[1] resolve(table.concat({ s.count, s.gaps, s.first, s.last, s.min, s.max, s.mean, s.points[2].value }, ' '))",
     matrix(({"a": "1"}, POINTS)), 0, r"3 2 1\.0 5\.0 1\.0 5\.0 3\.0 3\.0"),
    ("range: no number in it", show("prometheus.range('x')") + "note('' .. x[1].count) resolve(tostring(x[1].last))",
     matrix(({}, [[NOW, "NaN"]])), 3, r"last is unknown \(no_data\): no number"),
    ("range: no series", show("prometheus.range('x')"), matrix(), 3, r"no series"),
    ("range: too many steps", show("prometheus.range('x', { window = '1d', step = '1s' })"), matrix(), 3,
     r"86400 steps, at most 11000"),
    ("range: too many points", show("prometheus.range('x', { window = '1h', step = '1s' })"),
     matrix(*[({"i": str(i)}, [[NOW, "1"]]) for i in range(10)]), 3, r"at most 20000 points"),
    ("range: a vector instead", show("prometheus.range('x')"), vector(*pods(1)), 3, r"gives a vector, not a matrix"),

    ("series", show("prometheus.series('up', { job = 'api' })") + "resolve(x[2].name .. ' ' .. x[2].labels.pod)",
     success([{"__name__": "up", "pod": "b"}, {"__name__": "up", "pod": "a"}]), 0, r"up b"),
    ("series: none", show("prometheus.series('up')") + "resolve('n ' .. #x)", success([]), 0, r"n 0"),
    ("series: too many", show("prometheus.series('up', nil, { at_most = 2 })"), success([{"a": str(i)} for i in range(3)]), 3,
     r"more than the 2"),

    ("alerts", show("prometheus.alerts()") + "resolve(x[1].name .. x[2].name .. x[2].value .. ' ' .. math.floor(x[2].since))",
     success(ALERTS), 0, r"AB1\.5 1795370645"),
    ("alerts: of a service", show("prometheus.alerts({ service = 'api' })") + "resolve('n ' .. #x .. x[1].annotations.summary)",
     success(ALERTS), 0, r"n 1b"),
    ("alerts: a value that is no number", show("prometheus.alerts()") + "resolve(tostring(x[1].value))", success(ALERTS), 3,
     r"value is unknown"),
    ("alerts: none", show("prometheus.alerts()") + "resolve('n ' .. #x)", success({"alerts": []}), 0, r"n 0"),
    ("alerts: the field vanished", show("prometheus.alerts()"), success({}), 3, r"without alerts"),
    ("alerts: fields vanished", show("prometheus.alerts()") + "resolve(tostring(x[1].name) .. tostring(x[1].state))",
     success({"alerts": [{}]}), 0, r"nilnil"),
    ("alerts: wrong types", show("prometheus.alerts()"), success({"alerts": "many"}), 3, r"without alerts"),

    ("rules", show("prometheus.rules()") + "resolve(x[2].name .. ' ' .. x[2].health .. ' ' .. x[2].error .. ' ' .. x[1].state)",
     success(RULES), 0,
     r"x:rate err boom firing"),
    ("rules: by name", show("prometheus.rules('HighLatency')") + "resolve('n ' .. #x)", success(RULES), 0, r"n 1"),
    ("rules: never evaluated", show("prometheus.rules('x:rate')") + "resolve(tostring(x[1].at))", success(RULES), 3,
     r"at is unknown"),

    ("targets", show("prometheus.targets({ job = 'api' })") + "resolve(x[1].name .. x[1].health .. ' ' .. x[2].health .. x[1].took)", success(TARGETS), 0,
     r"a:1up down0\.01"),
    ("targets: never scraped", show("prometheus.targets()") + "resolve(tostring(x[2].at))", success(TARGETS), 3,
     r"at is unknown"),
    ("metadata", show("prometheus.metadata('x_total')") + "resolve(x[1].kind .. ' ' .. x[1].help)", success(METADATA), 0,
     r"counter how many"),
    ("age", show("prometheus.age('up', { job = 'api' })") + "resolve(tostring(x))", vector(({}, "12.5")), 0, r"12\.5"),
    ("a metric that is none", "observe(prometheus.quantile(0.5, 'x{}'))", vector(), 3, r"'x\{\}' is no metric"),
    ("a label that is none", "observe(prometheus.quantile(0.5, 'x', { ['a=\"\"} or up{b'] = 1 }))", vector(), 3,
     r"is no label name"),
]

# name, the read, the query that must arrive
QUERIES = [
    ("$1 is one string", "prometheus.value('up{a=$1}', 'x\"} or up{b=\"\\\\\\n')", 'up{a="x\\"} or up{b=\\"\\\\\\n"}'),
    ("$1 behind =~ is literal", "prometheus.value('up{a=~$1}', '.*|a.b')", 'up{a=~"\\\\.\\\\*\\\\|a\\\\.b"}'),
    ("a list behind =~", "prometheus.value('up{a=~ $1}', { 'a', 'b.c' })", 'up{a=~ "a|b\\\\.c"}'),
    ("$window", "prometheus.value('rate(x[$window])', { window = '90s' })", "rate(x[90s])"),
    ("the instance's window", "prometheus.value('rate(x[$window])')", "rate(x[120s])"),
    ("matchers", "prometheus.quantile(0.95, 'h', { b = 'y\"', a = 1 }, { window = '500ms' })",
     'histogram_quantile(0.95, sum by (le) (rate(h_bucket{a="1",b="y\\""}[500ms])))'),
    ("age", "prometheus.age('up', { job = 'x' })", 'time() - max(timestamp(up{job="x"}))'),
]

# the expression in verify, what first_look must be (interval is 15 s)
WINDOWS = [
    ("prometheus.value('rate(x[7m])')", 420), ("prometheus.value('up')", 30), ("prometheus.value('rate(x[$window])')", 120),
    ("prometheus.value('up{a=~\"[9h]\"}')", 30), ("prometheus.value('max_over_time(rate(x[2m])[1h:1m])')", 3720),
    ("prometheus.quantile(0.5, 'x', {}, { window = '9m' })", 540), ("prometheus.range('x', { window = '2h' })", 7200),
]


def config(url, more=""):
    return f"instances: {{ m: {{ plugin: prometheus, url: '{url}/', window: 2m, interval: 15s, timeout: 1s{more} }} }}\n"


def answer_cases(program, scratch):
    server = stand.Server(lambda _: None)
    box = stand.Box(program, scratch / "answers", config(server.url), "{ prometheus: m }")
    for name, code, answer, exit_code, pattern in CASES:
        server.answer = lambda _, a=answer: a
        yield name, expect(box.run(code + "\nresolve 'done'"), exit_code, *([pattern] if pattern else []))
    for name, read, query in QUERIES:
        server.requests.clear()
        server.answer = lambda _: vector(({}, "1"))
        got = box.run(f"resolve(tostring(observe({read})))")
        sent = server.requests[0]["form"].get("query", [""])[0] if server.requests else ""
        yield "query: " + name, expect(got, 0) or (None if sent == query else f"sent {sent}")
    yield from busy_cases(server, box)
    server.close()
    yield "the server is down", expect(box.run("observe(prometheus.value('up'))"), 3, r"refused")


def busy_cases(server, box):
    counts = {"n": 0}

    def busy_once(_):
        counts["n"] += 1
        return answer_json({}, 503, **{"Retry-After": "0"}) if counts["n"] == 1 else vector(({}, "1"))
    server.answer = busy_once
    yield "503 once is asked again", expect(box.run("resolve(tostring(observe(prometheus.value('up'))))"), 0)
    server.answer = lambda _: answer_json({}, 503, **{"Retry-After": "0"})
    yield "503 always", expect(box.run("observe(prometheus.value('up'))"), 3, r"HTTP 503")


def settings_cases(program, scratch):
    server = stand.Server(lambda _: vector(({}, "1")))
    (scratch / "token").write_text("sesame-4711\n")
    (scratch / "token").chmod(0o600)
    asks = "resolve(tostring(observe(prometheus.value('up'))))"
    for name, more, header, value in (
            ("a token from a file", f", bearer_file: '{scratch}/token'", "authorization", "Bearer sesame-4711"),
            ("bearer", ", auth: { kind: bearer, secret: tok }", "authorization", "Bearer sesame-4711"),
            ("basic", ", auth: { kind: basic, user: ops, secret: tok }", "authorization", "Basic b3BzOnNlc2FtZS00NzEx"),
            ("headers", ", headers: { X-Scope-OrgID: team-a }", "x-scope-orgid", "team-a")):
        server.requests.clear()
        text = config(server.url, more) + f"secrets: {{ tok: {{ file: '{scratch}/token', hosts: ['{server.url}'] }} }}\n"
        box = stand.Box(program, scratch / name.replace(" ", "-"), text, "{ prometheus: m }")
        got = box.run(asks)
        sent = server.requests[0]["headers"].get(header) if server.requests else None
        leaked = any(b"sesame-4711" in p.read_bytes() for p in box.path.rglob("*") if p.is_file()) or "sesame" in got[1] + got[2]
        yield name, expect(got, 0) or (None if sent == value else f"sent {sent}") or ("the token leaked" if leaked else None)
    server.requests.clear()
    box = stand.Box(program, scratch / "get", config(server.url, ", method: GET"), "{ prometheus: m }")
    got = box.run(asks)
    yield "method: GET", expect(got, 0) or (None if server.requests[0]["method"] == "GET" else "sent a POST")
    for name, text, pattern in (("no url", "{ plugin: prometheus }", r"midwatch\.yaml:1:\d+.*url is missing"),
                                ("a bad url", "{ plugin: prometheus, url: 'metrics:9090' }", r"url: 'metrics:9090'"),
                                ("a bad method", "{ plugin: prometheus, url: 'http://m', method: PUT }", r"GET or POST"),
                                ("an unknown setting", "{ plugin: prometheus, ulr: x }", r"ulr.*did you mean 'url'")):
        box = stand.Box(program, scratch / ("bad-" + name.replace(" ", "-")), f"instances: {{ m: {text} }}\n",
            "{ prometheus: m }")
        yield "settings: " + name, expect(box.run("resolve 'x'"), 2, pattern)
    server.close()


def window_cases(program, scratch):
    """first_look of a remedy is told by the queries of verify: over virtual time, verify holds only in the second in which
    the first look is due, and there is no other look."""
    text = config("http://127.0.0.1:9").rstrip()[:-1] + ", sh: { plugin: shell } }\ncommands:\n" \
        "  touch: { argv: ['true'], effect: { class: ensure, target: t, undo: not needed } }\n"
    for n, (read, seconds) in enumerate(WINDOWS):
        box = stand.Box(program, scratch / f"window{n}", text, "{ prometheus: m, shell: sh }")
        (box.path / "t.md").write_text(f"""---
runbook: t
summary: a test
uses: {box.uses}
may:
  - {{ effect: shell.touch, target: t }}
limits: {{ time: 24h }}
---
# T

```lua
remedy("t", shell.touch(), {{ within = {seconds + 5}, every = "1h", verify = function()
  local x = observe {{ x = {read} }}.x
  return x == 1 or type(x) == "table" and #x == 1
end }})
resolve "seen"
```
""")
        no, yes = ("[]", "[{ name: a, labels: {}, count: 0, gaps: 0, points: [] }]") if "range" in read else ("0", "1")
        (box.path / "t.test.yaml").write_text(f"""scenarios:
  - name: first look
    given: {{ x: {{ at: {{ 0s: {no}, {seconds * 1000 - 900}ms: {yes}, {seconds * 1000 + 900}ms: {no} }} }} }}
    effects: {{ shell.touch: applied }}
    expect: {{ outcome: resolved, reason: verified }}
""")
        yield f"first_look of {read} is {seconds} s", expect(box.command("test", "t.md"), 0)


def cases(program, scratch, only):
    for group in (answer_cases, settings_cases, window_cases):
        if only in group.__name__:
            yield from group(program, scratch)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    stand.main(__doc__, cases)
