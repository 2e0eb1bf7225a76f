#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several changes of one run on one target, inside one another or one behind another: an undo finds what the run's own
later changes left, and stops at somebody else's. Against the stand-in of the API server, in virtual time.

Prints `ok - name` or `not ok - name: why` per case."""
import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from kubernetes_flow import D, Cases, Cluster, ended, shown  # noqa: E402

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
    "planned together on several fields": (FIELDS % '{ verify = "applied" }', "resolved", "verified", 3, "done", None),
    "planned together on several fields, put back": (FIELDS % FAILING, "escalated", "unverified", 3, "was undone; ", None),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="midwatch-flow-") as scratch:
        cases = Cases(pathlib.Path(args.build).resolve(), pathlib.Path(scratch), "")
        for name, (code, outcome, reason, replicas, words, looks) in CASES.items():
            world = Cluster(cases.flow.fresh, [{**TOUCHED, "after": looks}] if looks else [])
            kind = ("set", "configmaps/prod/app") if "o:set" in code else ("scale pause resume", "deployment/prod/api-service")
            result, report = cases.run(world, code, *kind)
            cases.say(name, ended(result, outcome, reason) or shown(world, [(*SIZE, replicas)]) or
                      (None if words in report else f"'{words}' is not said"), report)
    return 1 if cases.failed else 0


if __name__ == "__main__":
    sys.exit(main())
