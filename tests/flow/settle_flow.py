#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person's word on a run that cannot know what became of an effect: while it works, while it ends, after a crash, after
its end. Against the stand-in of the API server, in virtual time; every run must replay to equal rows.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import subprocess

import stand
from kubernetes_flow import D, Cases, Cluster, ended, shown

SIZE = ("deployments", "prod", "api-service", "spec.replicas")
STAYS = f'remedy("it", {D}:scale(5), {{ verify = "applied" }}) resolve "done"'
UNPROVEN = f'''remedy("it", {D}:scale(5), {{ when = function() return true end, within = "1s",
  verify = function() return observe(kubernetes.deployment("prod", "nobody"):replicas()) == 1 end }})'''
# How the code and the host come to put back what was for a while, and what the end then says.
ENDS = {
    "its function is over": (f'temporarily("it", {D}:scale(5), {{ within = "1h" }}, function() end) resolve "done"', ""),
    "the code ends the run": (f'temporarily("it", {D}:scale(5), {{ within = "1h" }}, function() escalate "enough" end)', ""),
    "its time is over": (f'temporarily("it", {D}:scale(5), {{ within = "5s" }}, function() sleep "1h" end)',
                         "was to be put back by now; "),
}
ARRIVES, IS_LOST = "cut", "drop"    # the change without an answer


class Fallen(Cluster):
    """A cluster that answers its (after + 1)th change no more, nor anything else behind it, until it is mended."""

    def __init__(self, fresh, do, after):
        super().__init__(fresh, [{"method": "PATCH", "path": "api-service", "do": do, "times": 1, "after": after},
                                 {"do": "drop", "times": 1 << 30, "after": 1 << 30}])

    def request(self, message):
        answer = super().request(message)
        cut, off = self.cluster.rules
        if cut["times"] == 0:
            off["after"] = 0
        return answer

    def mend(self):
        self.cluster.rules[1]["times"] = 0


class Desk:
    """One run and what a person does with it from the command line."""

    def __init__(self, cases, world, state):
        self.cases, self.world, self.state, self.result = cases, world, state, None

    def take_up(self, run=None, kill_at=0):
        self.result, _, _ = self.cases.flow.once(self.world, self.state, run, kill_at)
        self.world.wall_ms += 1000
        return self.result

    def mid(self, *words):
        p = subprocess.run([self.cases.build / "midwatch", *map(str, words), "--state", self.state], text=True, timeout=stand.patience(20),
                           capture_output=True, check=False, cwd=self.cases.scratch)
        return p.returncode, p.stdout + p.stderr

    def run(self):
        """The newest run as the list has it, or None."""
        code, out = self.mid("list", "-o", "json")
        runs = json.JSONDecoder().raw_decode(out)[0] if code == 0 and out.startswith("[") else None
        return runs[0] if runs else None

    def locked(self):
        return "prod-eu:deployment/prod/api-service" in self.mid("list")[1]

    def wrong(self, outcome, reason, *words):
        """What is wrong with its end, its rows' replay, or what it says; or None."""
        run, report = self.run(), self.mid("report", 1)[1].replace("\\_", "_")
        if (run["state"], run.get("outcome"), run.get("reason")) != ("ended", outcome, reason):
            return f"{run}"
        return next((f"'{w}' is not said: {report}" for w in words if w not in report), None) or \
            self.cases.flow.replay(self.state)


def begin(cases, world, code):
    """A run of the code, until it can do nothing more."""
    result, _ = cases.run(world, code)
    desk = Desk(cases, world, cases.scratch / f"case{cases.number}")
    desk.result = result
    return desk


def release(desk, name, *words):
    """Released while it was parked: it ends with these words, and frees what it held."""
    parked = desk.result.get("state") == "waiting: person" and desk.result["unknown"] == 1
    yield f"{name}: parked", (None if parked else f"{desk.result}") or (None if desk.locked() else "its target is free")
    desk.mid("settle", 1, "release")
    yield f"{name}: released", desk.wrong("escalated", "unknown_effect", "released by", *words) or \
        ("its target is locked" if desk.locked() else None)


def settled(desk, name, verdict, end, replicas):
    desk.mid("settle", 1, verdict)
    desk.world.mend()
    yield f"{name}: settled as {verdict}", ended(desk.take_up(1), *end) or desk.wrong(*end) or shown(desk.world, [(*SIZE, replicas)])


def parked_cases(cases):
    fresh = cases.flow.fresh
    for do, name, verdict in ((ARRIVES, "arrived", "applied"), (IS_LOST, "lost", "absent")):
        yield from release(begin(cases, Fallen(fresh, do, 0), STAYS), name)
        yield from settled(begin(cases, Fallen(fresh, do, 0), STAYS), name, verdict, ("resolved", "verified"), 5)
    for name, (code, words) in ENDS.items():
        yield from release(begin(cases, Fallen(fresh, ARRIVES, 1), code), f"putting back: {name}", words + "released by",
                           "could NOT be undone")
    yield from settled(begin(cases, Fallen(fresh, ARRIVES, 1), ENDS["its time is over"][0]), "putting back: its time is over",
                       "applied", ("escalated", "deadline"), 3)


def elsewhere_cases(cases):
    """The operator changes the instance while the outcome is unknown: the run is ended, and its target stays locked."""
    desk = begin(cases, Fallen(cases.flow.fresh, ARRIVES, 0), STAYS)
    cases.config(", timeout: 9s")
    desk.world.mend()
    result = desk.take_up(1)
    cases.config()
    yield "its instance is another one now", ended(result, "escalated", "error") or desk.wrong("escalated", "error", "settings") or \
        (None if desk.locked() else "its target is free")


def ended_cases(cases):
    desk = begin(cases, Cluster(cases.flow.fresh), UNPROVEN)
    before = desk.run()
    yield "ended, and it keeps a lock", desk.wrong("escalated", "unverified") or (None if desk.locked() else "its target is free")
    for verdict in ("applied", "absent"):
        code, out = desk.mid("settle", 1, verdict)
        yield f"ended: settled as {verdict}", None if code == 2 and "run 1 has ended (escalated)" in out else f"{code} {out}"
    code, out = desk.mid("settle", 1, "release")
    yield "ended: released", (f"{code} {out}" if code else None) or ("its target is locked" if desk.locked() else None) or \
        desk.wrong("escalated", "unverified") or (None if desk.run() == before else f"{desk.run()} was {before}")


def crash_cases(cases):
    """Killed at every point, settled as applied where that is taken, and taken up again."""
    taken, wrong = 0, None
    begin(cases, Cluster(cases.flow.fresh), STAYS)
    for point in range(1, 200):
        desk = Desk(cases, Cluster(cases.flow.fresh), cases.scratch / f"killed{point}")
        if desk.take_up(None, point) is not None or wrong:
            break
        if desk.mid("settle", 1, "applied")[0]:
            continue
        taken += 1
        wrong = ended(desk.take_up(1), "resolved", "verified") or desk.wrong("resolved", "verified")
        wrong = wrong and f"killed at {point}: {wrong}"
    yield "settled as applied after a crash", wrong or (None if taken > 2 else f"taken at {taken} points")


def refused_cases(cases):
    """Lost at first; killed at every point and halted: what was read back as absent may not be sent again."""
    refused, wrong = 0, None
    begin(cases, Cluster(cases.flow.fresh), STAYS)
    for point in range(1, 200):
        desk = Desk(cases, Cluster(cases.flow.fresh, [{"method": "PATCH", "do": IS_LOST, "times": 1}]), cases.scratch / f"halted{point}")
        if desk.take_up(None, point) is not None or wrong:
            break
        if desk.run() is None or desk.mid("halt", "enough")[0]:
            continue
        result = desk.take_up(1)
        _, said = desk.mid("show", 1)
        if "read back: absent" not in said or result.get("reason") != "halted":
            continue
        refused += 1
        wrong = desk.wrong("escalated", "halted") or (None if result["unknown"] == 0 and not desk.locked() else f"{result}") or \
            (None if "; absent" in desk.mid("report", 1)[1] else desk.mid("report", 1)[1])
        wrong = wrong and f"killed at {point}: {wrong}"
    yield "absent, and then refused", wrong or (None if refused > 2 else f"refused at {refused} points")


def every(cases):
    for group in (parked_cases, elsewhere_cases, ended_cases, crash_cases, refused_cases):
        for name, wrong in group(cases):
            cases.say(name, wrong)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
