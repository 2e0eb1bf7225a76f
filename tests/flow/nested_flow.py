#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several changes of one run on one target, inside one another or one behind another: an undo finds what the run's own
later changes left, and stops at somebody else's. Side by side the second is refused by name. Against the stand-in of the API server, in virtual time.

Prints `ok - name` or `not ok - name: why` per case."""
import os

import stand
from kubernetes_flow import D, Cases, Cluster, ended, shown

SIZE = ("deployments", "prod", "api-service", "spec.replicas")
INNER = f'temporarily("in", {D}:scale(7), {{ within = "1h" }}, function() end) '
OUTER = f'temporarily("out", {D}:scale(5), {{ within = "1h" }}, function() {INNER} %s {INNER} %s end) resolve "done"'
STAYS = f'remedy("stay", {D}:scale(9), {{ verify = "applied" }})'
FAILING = '{ when = function() return true end, verify = function() return false end, within = "1s" }'
SET = f'remedy("it", {{ {D}:scale(5), function() return {D}:scale(7) end }}, {FAILING})'
BOTH = f"{{ {D}:scale(5), {D}:pause(), {D}:scale(7), {D}:resume(), {D}:pause() }}"
AGREED = f'remedy("it", {BOTH}, {{ verify = "applied", approve = true }}) resolve "done"'
WHILE = f'temporarily("it", {BOTH}, {{ within = "1h" }}, function() end) resolve "done"'
FIELDS = """local o = kubernetes.object("configmaps", "prod", "app")
remedy("it", { o:set("data.level", "debug"), o:set("data.new", "1"), o:set("data.level", "trace") }, %s) resolve "done\""""
BESIDE = f"""local function size(n, opts) remedy("size", {D}:scale(n), opts) end
%s resolve "done\""""
PROVEN = '{ verify = "applied" }'
LOOKS = '{ when = function() return true end, verify = function() return %s end, within = "30s" }'
HOLDS = f'temporarily("it", {D}:scale(7), {{ within = "1h" }}, function() sleep "10s" end)'
BUSY = "another branch of this run changes it (case.md:1"
TOUCHED = {"method": "GET", "path": "deployments/api-service$", "do": "interfere", "object": SIZE[:3],
           "patch": {"spec": {"minReadySeconds": 3}}}

# name: code, outcome, reason, replicas at the end, what is said, and after how many looks somebody else changes the target
CASES = {
    "for a while inside another": (OUTER % ("", ""), "resolved", "verified", 3, "done", None),
    "for a while inside another, cut short": (OUTER % ('escalate "enough"', ""), "escalated", "runbook", 3, "enough", None),
    "somebody else before the inner one": (OUTER % ("", ""), "escalated", "moved", 5, "somebody else changed", 4),
    "somebody else between two inner ones": (OUTER % ("", ""), "escalated", "moved", 5, "somebody else changed", 11),
    "somebody else behind the inner ones": (OUTER % ("", ""), "escalated", "moved", 5, "somebody else changed", 18),
    "what is changed to stay on top of it stays": (OUTER % ("", STAYS), "escalated", "moved", 9, "could NOT be undone", None),
    "a set on one target is put back in reverse": (SET, "escalated", "unverified", 3, "was undone; ", None),
    "planned together on one target": (AGREED, "resolved", "verified", 7, "done", None),
    "planned together, for a while": (WHILE, "resolved", "verified", 3, "done", None),
    "planned together, put back in reverse": (f'remedy("it", {BOTH}, {FAILING})', "escalated", "unverified", 3, "was undone; ", None),
    "planned together, and somebody else in between": (AGREED, "escalated", "moved", 5, "somebody else changed", 13),
    "side by side": (BESIDE % f"parallel {{ function() size(5, {PROVEN}) end, function() size(7, {PROVEN}) end }}",
                     "escalated", "target_busy", 5, BUSY, None),
    "side by side, the first not proven yet": (
        BESIDE % f"parallel {{ function() size(5, {LOOKS % 'false'}) end, function() sleep '5s' size(7, {PROVEN}) end }}",
        "escalated", "target_busy", 5, BUSY, None),
    "side by side, the first put back later": (
        BESIDE % f"parallel {{ function() {HOLDS} end, function() sleep '5s' size(5, {PROVEN}) end }}",
        "escalated", "target_busy", 3, BUSY, None),
    "side by side, planned before the first was proven": (
        BESIDE % f"parallel {{ function() size(5, {PROVEN}) end, function() remedy('size', {D}:scale(7), {{ "
        "when = function() sleep '5s' return true end, verify = 'applied' }) end }", "escalated", "target_busy", 5, BUSY, None),
    "side by side, the second later": (
        BESIDE % f"parallel {{ function() size(5, {PROVEN}) end, function() sleep '5s' size(7, {PROVEN}) end }}",
        "resolved", "verified", 7, "done", None),
    "each, one at once": (BESIDE % f"each({{ 5, 7 }}, {{ at_once = 1 }}, function(n) size(n, {PROVEN}) end)",
                          "resolved", "verified", 7, "done", None),
    "planned together on several fields": (FIELDS % '{ verify = "applied" }', "resolved", "verified", 3, "done", None),
    "planned together on several fields, put back": (FIELDS % FAILING, "escalated", "unverified", 3, "was undone; ", None),
}


STAYING = f"""remedy("size", {D}:scale(5), {{ verify = "applied" }})
remedy("pause", {{ {D}:pause(), {D}:resume(), {D}:pause() }}, {{ verify = "applied" }}) resolve "done\""""
NO = {"method": "PATCH", "path": "^(?!.*selfsubject)", "do": "status", "code": 403, "reason": "Forbidden", "times": 1}


def undo(cases, world, killed_at=0):
    world.wall_ms += 500
    os.environ["CRASH_UNDO"] = "1"
    result, _, _ = cases.flow.once(world, cases.scratch / f"case{cases.number}", 1, killed_at)
    del os.environ["CRASH_UNDO"]
    return result


def undone_again(cases):
    """An undo that is refused at one of its effects leaves the rest of the run to the next undo."""
    for done in range(4):
        world = Cluster(cases.flow.fresh)
        cases.run(world, STAYING, "scale pause resume")
        world.cluster.rules = [{**NO, "after": done}]
        first, second, third = (undo(cases, world) for _ in range(3))
        wrong = ended(first, "escalated", "unverified") or ended(second, "resolved", "verified") or \
            shown(world, [(*SIZE, 3), (*SIZE[:3], "spec.paused", False)]) or \
            (None if "still in force" in third.get("error", "") else f"a third one: {third}")
        for run in (2, 3):
            wrong = wrong or cases.flow.replay(cases.scratch / f"case{cases.number}", run)
        cases.say(f"undo again after one that put back {done}", wrong)
    world = Cluster(cases.flow.fresh)
    cases.run(world, STAYING, "scale pause resume")
    undo(cases, world, 20)
    error = undo(cases, world).get("error", "")
    cases.say("no undo beside one that has not ended", None if "run 2 undoes it, and has not ended" in error else error)


def every(cases):
    for name, (code, outcome, reason, replicas, words, looks) in CASES.items():
        world = Cluster(cases.flow.fresh, [{**TOUCHED, "after": looks}] if looks else [])
        kind = ("set", "configmaps/prod/app") if "o:set" in code else ("scale pause resume", "deployment/prod/api-service")
        result, report = cases.run(world, code, *kind)
        cases.say(name, ended(result, outcome, reason) or shown(world, [(*SIZE, replicas)]) or
                  (None if words in report else f"'{words}' is not said") or
                  cases.flow.replay(cases.scratch / f"case{cases.number}"), report)
    undone_again(cases)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
