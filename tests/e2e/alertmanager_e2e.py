#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Silences in a real Alertmanager: made, seen on the alert, found again, undone, expired by themselves.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import time
import urllib.request

import servers
import stand  # pylint: disable=wrong-import-order
from stand import expect

FRONT = 'may:\n  - { effect: alertmanager.silence, target: "silence/*", at_most: 3 }\nlimits: { cooldown: 0s }\n'
LABELS = {"alertname": "HighLatency", "service": 'a/b, "c" {d}=\\~é'}
MATCHERS = '{ alertname = "HighLatency", service = "a/b, \\"c\\" {d}=\\\\~é" }'


def post_alert(url):
    body = json.dumps([{"labels": LABELS, "annotations": {"summary": "slow"}}]).encode()
    request = urllib.request.Request(url + "/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()


def silences(url, state="active"):
    return [s for s in json.loads(servers.get(url + "/api/v2/silences")) if s["status"]["state"] == state]


def remedy(effect, verify="'applied'"):
    return f"remedy('be quiet', {effect}, {{ verify = {verify}, within = 4, first_look = 0, every = 1 }})\n"


def cases(program, scratch, only):
    del only
    with servers.alertmanager(scratch / "am") as url:
        box = stand.Box(program, scratch / "box", f"instances: {{ am: {{ plugin: alertmanager, url: '{url}' }} }}\n",
            "{ alertmanager: am }")
        post_alert(url)
        silence = f'alertmanager.silence({MATCHERS}, "1h", "rolling back")'
        got = box.run(f"local x = observe(alertmanager.alerts({MATCHERS}))\nresolve(#x .. x[1].name .. x[1].state)")
        yield "the alert is seen by its labels, whatever they hold", expect(got, 0, r"1HighLatency(active|unprocessed)")
        suppressed = f"function() local x = observe(alertmanager.alerts({MATCHERS})) return x[1].state == 'suppressed' end"
        got = box.run(remedy(silence, suppressed) + f"local x = observe(alertmanager.silences())\nresolve(#x .. x[1].author .. x[1].comment)", FRONT)
        yield "a silence, verified by the alert being suppressed", expect(got, 0, r"1midwatchrolling back \[midwatch:")
        made = silences(url)
        matchers = {m["name"]: m["value"] for m in made[0]["matchers"]} if made else {}
        yield "it matches exactly these labels", None if matchers == LABELS and len(made) == 1 else f"{made}"
        got = box.run(remedy(silence) + "resolve 'quiet'", FRONT)
        yield "found again: nothing is sent", expect(got, 0) or \
            (None if len(silences(url)) == 1 and "INTENT" not in box.kinds() else "made twice")
        other = 'alertmanager.silence({ alertname = "Other" }, "1h", "x")'
        got = box.run(remedy(other, "function() return false end") + "resolve 'quiet'", FRONT)
        yield "refuted: undone", expect(got, 3, "was undone") or \
            (None if len(silences(url)) == 1 and len(silences(url, "expired")) == 1 else f"{silences(url)}")
        got = box.run(remedy(other) + "resolve 'quiet'", FRONT)
        yield "an expired one is no silence: a new one is made", expect(got,
            0) or (None if len(silences(url)) == 2 else f"{silences(url)}")
        before = len(silences(url))
        code = ('temporarily("quiet for the work", alertmanager.silence({ alertname = "Work" }, "1h", "x"), { within = "1m" }, function()\n'
                "  note('during ' .. list.count(observe(alertmanager.silences({ alertname = 'Work' })), { state = 'active' }))\nend)\nresolve 'done'")
        got = box.run(code, FRONT)
        notes = [r["payload"] for r in box.rows() if r["kind"] == "NOTE"] + [r["args"] for r in box.rows() if r["kind"] == "NOTE"]
        yield "temporarily: there for the work, gone afterwards", expect(got, 0) or \
            (None if "during 1" in json.dumps(notes) and len(silences(url)) == before else f"{notes} {silences(url)}")
        got = box.command("doctor")
        yield "doctor", expect(got, got[0], r"release 0\.")
        short = 'alertmanager.silence({ alertname = "Short" }, "2s", "x")'
        got = box.run(remedy(short) + "resolve 'quiet'", FRONT)
        begun = time.monotonic()
        yield "a silence of two seconds", expect(got, 0)
        servers.wait_until("its end", lambda: len(silences(url)) == before, 10)
        yield "ends by itself", None if time.monotonic() - begun < 5 else "late"
        got = box.run("local n = 0\nfor _, s in ipairs(observe(alertmanager.silences(nil, { expired = true }))) do\n"
                      "  if s.state == 'expired' then n = n + 1 end\nend\nresolve('expired ' .. n)")
        yield "expired ones are listed when asked for", expect(got, 0, "expired 3")
        yield "a bad label is refused before anything is sent", expect(box.run(remedy('alertmanager.silence({ ["a-b"] = "c" }, "1h", "x")'), FRONT), 3, "no label name")


if __name__ == "__main__":
    stand.main(__doc__, cases)
