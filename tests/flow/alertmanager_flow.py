#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The alertmanager plugin: its reads, and a silence that is made, found again, undone and never made twice, against a
server that keeps silences as Alertmanager does and misbehaves on request.

Prints `ok - name` or `not ok - name: why` per case."""
import datetime
import json
import pathlib
import sys
import time

import stand
from stand import answer_json, expect

FRONT = 'may:\n  - { effect: alertmanager.silence, target: "silence/*", at_most: 3 }\nlimits: { cooldown: 0s }\n'
SILENCE = 'alertmanager.silence({ alertname = "HighLatency", service = "a/b, \\"c\\"" }, "1h", "rolling back")'
ALERT = {"labels": {"alertname": "HighLatency", "service": "api"}, "annotations": {"summary": "s"},
    "fingerprint": "5f1d2c3b4a596877",
         "startsAt": "2026-11-22T18:04:05.123Z", "endsAt": "2026-11-22T19:04:05.123+01:00",
         "status": {"state": "suppressed", "silencedBy": ["id-1"], "inhibitedBy": []}}


class Alertmanager:
    """Silences by id; `wrong(request)` may answer instead, before or after the real work."""

    def __init__(self):
        self.silences, self.before, self.after = {}, None, None

    def add(self, **more):
        silence = {"id": f"id-{len(self.silences) + 1}", "status": {"state": "active"}, "createdBy": "midwatch", "comment": "x",
                   "startsAt": "2026-11-22T18:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
                   "matchers": [{"name": "alertname", "value": "HighLatency", "isRegex": False, "isEqual": True}], **more}
        self.silences[silence["id"]] = silence
        return silence["id"]

    def active(self):
        return [s for s in self.silences.values() if s["status"]["state"] == "active"]

    def __call__(self, request):
        changes = request["method"] in ("POST", "DELETE")
        if self.before and (got := self.before(request)) != "go on":
            return got
        done = self.work(request)
        if changes and self.after:
            return self.after(request)
        return done

    def work(self, request):
        method, path = request["method"], request["path"]
        if (method, path) == ("GET", "/api/v2/silences"):
            return answer_json(list(self.silences.values()))
        if (method, path) == ("GET", "/api/v2/alerts"):
            return answer_json([ALERT, {**ALERT, "labels": {"alertname": "Other"}}])
        if (method, path) == ("POST", "/api/v2/silences"):
            body = json.loads(request["body"])
            if body["endsAt"] <= body["startsAt"]:
                return answer_json("bad times", 400)
            return answer_json({"silenceID": self.add(**body)})
        if method == "DELETE" and path.startswith("/api/v2/silence/"):
            self.silences[path.rsplit("/", 1)[1]]["status"]["state"] = "expired"
            return 200, {}, ""
        return answer_json("not found", 404)


def only_changes(answer, times=99):
    left = [times]

    def wrong(request):
        if request["method"] == "GET" or left[0] == 0:
            return "go on"
        left[0] -= 1
        return answer
    return wrong


def reads_of(answer):
    return lambda request: answer if request["method"] == "GET" else "go on"


def remedy(verify="'applied'", effect=SILENCE):
    return f"remedy('silence', {effect}, {{ verify = {verify}, within = 2, first_look = 0, every = 1 }})\nresolve 'quiet'"


FAILS = "function() return false end"

# name, code, what goes wrong before and after the work, exit code, what must be said, silences that are active at the end
CASES = [
    ("made", remedy(), None, None, 0, r"resolved", 1),
    ("refuted: undone by expiring it", remedy(FAILS), None, None, 3, r"was undone", 0),
    ("refused: 400", remedy(), only_changes(answer_json("bad matcher\x1b[2J", 400)), None, 3, r"HTTP 400: bad matcher", 0),
    ("refused: 401", remedy(), only_changes((401, {}, "no")), None, 3, r"HTTP 401", 0),
    ("made, and the answer was cut", remedy(), None, lambda _: None, 0, r"resolved", 1),
    ("made, and the answer was 502", remedy(), None, lambda _: (502, {}, "<html>bad gateway</html>"), 0, r"resolved", 1),
    ("made, and the answer is HTML", remedy(), None, lambda _: (200, {}, "<html>ok</html>"), 0, r"resolved", 1),
    ("made, and the answer lacks the id", remedy(), None, lambda _: answer_json({}), 0, r"resolved", 1),
    ("lost once before it arrived, sent again", remedy(), only_changes(None, 1), None, 0, r"resolved", 1),
    ("reads: 500", remedy(), reads_of((500, {}, "boom")), None, 3, r"HTTP 500", 0),
    ("reads: HTML", remedy(), reads_of((200, {}, "<html>login</html>")), None, 3, r"no JSON", 0),
    ("reads: an object where a list is", remedy(), reads_of(answer_json({"a": 1})), None, 3, r"an object where a list", 0),
    ("too long", remedy(effect='alertmanager.silence({ a = "b" }, "25h", "x")'), None, None, 3, r"at most 86400 s", 0),
    ("an empty value", remedy(effect='alertmanager.silence({ a = "" }, "1h", "x")'), None, None, 3, r"a: an empty value", 0),
    ("no matcher", remedy(effect='alertmanager.silence({}, "1h", "x")'), None, None, 3, r"'matchers' must be matchers", 0),
    ("a bad label name", remedy(effect='alertmanager.silence({ ["a~"] = "b" }, "1h", "x")'), None, None, 3, r"is no label name",
     0),
    ("no comment", remedy(effect='alertmanager.silence({ a = "b" }, "1h")'), None, None, 3, r"'comment' is missing", 0),
]

READS = [
    ("alerts", "local x = observe(alertmanager.alerts({ service = 'api' })) resolve(#x .. x[1].name .. x[1].state .. x[1].silenced_by[1] .. ' ' .. math.floor(x[1].ends))",
     None, 0, r"1HighLatencysuppressedid-1 17953706"),
    ("alerts: fields vanished", "local x = observe(alertmanager.alerts()) note(tostring(x[1].name)) resolve(tostring(x[1].state))",
     answer_json([{"labels": {}}]), 3, r"state is unknown"),
    ("alerts: none", "resolve('n ' .. #observe(alertmanager.alerts()))", answer_json([]), 0, r"n 0"),
    ("alerts: 10,000", "resolve('n ' .. #observe(alertmanager.alerts()))", answer_json([ALERT] * 10000), 3,
     r"10000 alerts, more than the 1000|bytes"),
    ("alerts: wrong types", "resolve('n ' .. #observe(alertmanager.alerts()))", answer_json([{"labels": 1, "status": [],
     "startsAt": 7}]), 0, r"n 1"),
    ("alerts: slow", "observe(alertmanager.alerts())", 3, 3, r"no whole answer within 1000 ms"),
    ("alerts: huge", "observe(alertmanager.alerts())", (200, {}, " " * (5 << 20)), 3, r"bytes"),
    ("alerts: empty", "observe(alertmanager.alerts())", (200, {}, ""), 3, r"no JSON"),
    ("alerts: a label that is none", "observe(alertmanager.alerts({ ['a\"'] = 'x' }))", None, 3, r"no label name"),
    ("silences", "local x = observe(alertmanager.silences()) resolve(#x .. x[1].matchers .. x[1].author .. x[1].state)", None,
     0, r'1alertname="HighLatency"midwatchactive'),
    ("silences: also expired", "resolve('n ' .. #observe(alertmanager.silences(nil, { expired = true })))", None, 0, r"n 2"),
]


def cases(program, scratch, only):
    am = Alertmanager()
    server = stand.Server(am)
    box = stand.Box(program, scratch / "am", f"instances: {{ am: {{ plugin: alertmanager, url: '{server.url}', timeout: 1s }} }}\n",
                    "{ alertmanager: am }")
    for name, code, before, after, exit_code, pattern, active in CASES:
        if only not in name:
            continue
        am.silences, am.before, am.after = {}, before, after
        got = box.run(code, FRONT)
        yield name, expect(got, exit_code, pattern) or \
            (None if active is None or len(am.active()) == active else f"{len(am.active())} silences are active")
    yield from form_cases(am, box)
    yield from found_cases(am, box)
    for name, code, answer, exit_code, pattern in READS:
        am.silences, am.after = {}, None
        am.before = None if answer is None else (lambda _, a=answer: a)
        am.add()
        am.add(status={"state": "expired"})
        yield name, expect(box.run(code), exit_code, pattern)
    server.close()
    yield "the server is down", expect(box.run(remedy(), FRONT), 3, r"refused")


def form_cases(am, box):
    am.silences, am.before, am.after = {}, None, None
    got = box.run(remedy(), FRONT)
    made = am.active()[0] if am.active() else {}
    matchers = {m["name"]: m["value"] for m in made.get("matchers", [])}
    yield "the matchers arrive as they were given", expect(got, 0) or \
        (None if matchers == {"alertname": "HighLatency", "service": 'a/b, "c"'} else f"{made}")
    starts, ends = (datetime.datetime.fromisoformat(made.get(k, "1970-01-01T00:00:00Z").replace("Z",
        "+00:00")) for k in ("startsAt", "endsAt"))
    about_now = abs(starts.timestamp() - time.time()) < 60
    yield "it ends an hour after it begins", None if about_now and (ends - starts).total_seconds() == 3600 else f"{made}"
    key = [r for r in box.rows() if r["kind"] == "INTENT"][0]["payload"].get("key", "?")
    yield "the comment holds the effect's key", None if made.get("comment") == f"rolling back [midwatch:{key}]" else f"{made} {key}"


def found_cases(am, box):
    """Who else's silence, or ours of before, is there when the remedy begins."""
    plain = 'alertmanager.silence({ alertname = "HighLatency" }, "1h", "x")'
    for name, there, sent, active in (
            ("ours is there: nothing is sent", {}, 0, 1), ("somebody else's does not count", {"createdBy": "ann"}, 1, 2),
            ("ours, but expired", {"status": {"state": "expired"}}, 1, 1),
            ("ours, but by pattern", {"matchers": [{"name": "alertname", "value": "HighLatency", "isRegex": True,
             "isEqual": True}]}, 1, 2),
            ("ours, but negative", {"matchers": [{"name": "alertname", "value": "HighLatency", "isRegex": False,
             "isEqual": False}]}, 1, 2)):
        am.silences, am.before, am.after = {}, None, None
        am.add(**there)
        got = box.run(remedy(effect=plain), FRONT)
        intents = box.kinds().count("INTENT")
        yield name, expect(got, 0) or (None if (intents, len(am.active())) == (sent,
            active) else f"{intents} sent, {len(am.active())} active")
    am.silences = {}

    def interferes(request):
        if request["method"] == "POST":
            am.before = None
            am.add(matchers=[{"name": "alertname", "value": "HighLatency", "isRegex": False, "isEqual": True}])
            return None
        return "go on"
    am.before = interferes
    got = box.run(remedy(effect=plain), FRONT)
    yield "made by somebody while ours was lost: not made twice", None if len(am.active()) == 1 and got[0] in (0,
        3) else f"{got[0]} {len(am.active())}"


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    stand.main(__doc__, cases)
