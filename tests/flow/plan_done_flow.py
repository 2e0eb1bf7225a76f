#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Planned and done: a run that is given its plan says in its report whether it went one of the plan's ways, and where it did
not; `list --accuracy` counts.

Prints `ok - name` or `not ok - name: why` per case."""
import json

import stand

CONFIG = """
commands:
  load:  {{ argv: [cat, {dir}/load], read: {{ returns: number }} }}
  workers: {{ argv: [cat, {dir}/workers], read: {{ returns: integer }} }}
  set_workers: {{ argv: [sh, -c, 'echo "$1" >{dir}/workers; cat {dir}/next >{dir}/load', sh, "{{{{n}}}}"],
                  params: {{ n: {{ type: integer, max: 90 }} }}, effect: {{ class: ensure, target: workers, state: workers, sets: n }} }}
state: {dir}/state
"""
FRONT = "may:\n  - { effect: shell.set_workers, target: workers }\nlimits: { cooldown: 0s }\n"
CODE = """
local n = observe(shell.workers())
if n > 50 then escalate "too many already" end
remedy("double the workers", shell.set_workers { n = n * 2 }, {
  verify = function() return observe(shell.load()) < 5 end, within = "1s", every = "200ms" })
resolve "calm"
"""


class Done:
    def __init__(self, program, scratch):
        self.dir = scratch / "done"
        self.box = stand.Box(program, self.dir, CONFIG.format(dir=self.dir), "[shell]")
        self.world(3, 7, 1)
        self.book(CODE)
        (self.dir / "other.md").write_text((self.dir / "t.md").read_text().replace("runbook: t\n", "runbook: other\n"))

    def world(self, workers, load, after):
        for name, value in (("workers", workers), ("load", load), ("next", after)):
            (self.dir / name).write_text(f"{value}\n")

    def book(self, code):
        (self.dir / "t.md").write_text(f"---\nrunbook: t\nsummary: a test\nuses: [shell]\n{FRONT}---\n# T\n\n```lua\n{code}\n```\n")

    def plan(self, code=0):
        got = self.box.command("plan", "t.md", "-o", "json")
        (self.dir / "plan.json").write_text(got[1])
        return None if got[0] == code else f"plan: exit {got[0]}: {got[2]}"

    def run(self, code, *words):
        """Runs by the plan; (what is wrong, the report)."""
        got = self.box.command("run", "t.md", "--plan", "plan.json", *words)
        number = len(json.loads(self.box.command("list", "-o", "json")[1]))
        report = json.loads(self.box.command("report", number, "-o", "json")[1])
        replayed = self.box.command("replay", number)
        wrong = stand.expect(got, code) or (f"replay: {replayed[2]}" if replayed[0] else None)
        return wrong, report


def says(report, as_planned, text):
    if report.get("as_planned") is not as_planned or text not in report["summary"]:
        return f"{report.get('as_planned')}: {report['summary']}"
    return None


def as_planned(d):
    wrong = d.plan()
    if wrong:
        return wrong
    wrong, report = d.run(0)
    return wrong or says(report, True, "It went as planned (plan ") or stand.expect(
        d.box.command("show", "1"), 0, r"(?m)^It went as planned \(plan ")


def another_way(d):
    """Refuted and undone is a way of the plan as well."""
    d.world(3, 7, 9)
    wrong = d.plan()
    if wrong:
        return wrong
    wrong, report = d.run(3)
    d.box.command("settle", "2", "release")
    return wrong or says(report, True, "It went as planned")


def another_effect(d):
    """Somebody scales in between, so the run doubles something else."""
    d.world(3, 7, 1)
    wrong = d.plan()
    d.world(4, 7, 1)
    if wrong:
        return wrong
    wrong, report = d.run(0)
    return wrong or says(report, False, 'shell.set_workers on shell:workers to {"n":8} was not planned')


def another_end(d):
    d.world(3, 7, 1)
    wrong = d.plan()
    d.world(60, 7, 1)
    if wrong:
        return wrong
    wrong, report = d.run(3)
    return wrong or says(report, False, "it ended as escalated (runbook), which none of the planned ways does")


def other_sources(d):
    d.world(3, 7, 1)
    wrong = d.plan()
    d.book(CODE.replace('"calm"', '"all is calm"'))
    if wrong:
        return wrong
    wrong, report = d.run(0)
    d.book(CODE)
    return wrong or says(report, False, "its sources are not those of the plan")


def without(d):
    d.world(3, 7, 1)
    got = d.box.command("run", "t.md")
    report = json.loads(d.box.command("report", 6, "-o", "json")[1])
    return stand.expect(got, 0) or ("it has a plan" if "as_planned" in report or "plan" in report["summary"] else None)


def accuracy(d):
    text = d.box.command("list", "--accuracy")
    found = json.loads(d.box.command("list", "--accuracy", "-o", "json")[1])
    return stand.expect(text, 0, r"t +5 +2 +40%") or (None if found == {"t": {"as_planned": 2, "planned": 5}} else str(found))


def undo_has_no_plan(d):
    d.world(3, 7, 1)
    wrong = d.plan()
    if wrong:
        return wrong
    d.run(0)
    got = d.box.command("undo", "7")
    report = json.loads(d.box.command("report", 8, "-o", "json")[1])
    return stand.expect(got, 0) if "as_planned" not in report else "the undo has the plan of what it undoes"


BAD = [("no file", "nope.json", "--plan"), ("no JSON", "t.md", "midwatch plan -o json"), ("JSON that is none", "empty.json", "no plan of t")]


def cases(program, scratch, only):
    d = Done(program, scratch)
    for name, check in (("as planned", as_planned), ("undone as planned", another_way), ("another effect", another_effect),
                        ("another end", another_end), ("other sources", other_sources), ("without a plan", without),
                        ("accuracy", accuracy), ("an undo", undo_has_no_plan)):
        yield name, check(d)
    (d.dir / "empty.json").write_text("{}")
    for name, file, text in BAD:
        if only in name:
            yield "bad: " + name, stand.expect(d.box.command("run", "t.md", "--plan", file), 2, text)
    yield "bad: a plan of another runbook", stand.expect(d.box.command("run", "other.md", "--plan", "plan.json"), 2, "no plan of other")


if __name__ == "__main__":
    stand.main(__doc__, cases)
