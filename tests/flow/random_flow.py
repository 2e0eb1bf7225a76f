#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random runbooks in random worlds: branches that meet at the same moment, effects that fail in every way, people who
answer late, ends and cancels at any time. Every run must replay to equal rows and break no invariant of check/invariants.c.

Prints `ok - name` or `not ok - name: why`. --seeds N --first SEED for a longer walk; a failing seed is printed with its
files kept in --keep."""
import os
import pathlib
import random
import subprocess

import stand

CONFIG = """instances:
  k8s: { plugin: kubernetes }
  metrics: { plugin: prometheus, url: "http://127.0.0.1:9/" }
"""
HARMLESS = ("  outcome: expected", "  reason: expected", "  the run said:", "  people: '", "  the scenario does not say who")
WORLDS = 12         # of one runbook
# Seeds that once found something, and what.
FOUND = {722: "an undo failed while its branch undid something else, another branch ended the run, and its end did not say so",
         4272: "a sleep beside an ending that read an effect back span from the end of limits.time on"}


class Program:
    """One random runbook."""

    def __init__(self, rng):
        self.rng, self.names = rng, 0

    def name(self):
        self.names += 1
        return f"s{self.names}"

    def sleep(self, _):
        return f'sleep "{self.rng.choice([1, 1, 2, 3, 5, 10])}s"'

    def mark(self, _):
        return f'mark "{self.name()}"'

    def look(self, _):
        return f'mark("{self.name()}=" .. observe(reading "{self.rng.choice("abc")}"))'

    def group(self, _):
        return f'do local o = observe {{ a = reading "a", b = reading "b" }} mark("{self.name()}=" .. o.a .. o.b) end'

    def wait(self, _):
        return (f'mark("{self.name()}=" .. tostring(wait_until("{self.name()}", {{ every = "1s", within = "{self.rng.randint(2, 9)}s" }},'
                f' function() return observe(reading "{self.rng.choice("abc")}") > {self.rng.randint(0, 9)} end)))')

    def effect(self):
        return f'deployment "{self.rng.choice("xyz")}":scale({self.rng.randint(1, 6)})'

    def effects(self):
        if self.rng.random() < 0.7:
            return self.effect()
        later = [f"function() return {self.effect()} end" if self.rng.random() < 0.3 else self.effect() for _ in range(self.rng.randint(2, 3))]
        return "{ " + ", ".join(later) + " }"

    def remedy(self, depth):
        verify = self.rng.choice(['"applied"', '"applied"', f"function() return observe(reading \"b\") > {self.rng.randint(0, 9)} end",
                                  f"function() {self.body(depth + 1, 2, inside=True)} return true end"])
        more = self.rng.choice(["", "", ', on_failure = "continue"', ', on_failure = "escalate"', ', approve = true', ', approve = { once = "k" }',
                                ', when = function() return true end', ", stop_after_errors = 3", ', hold = "2s"', ', pause = "1s"'])
        return f'mark(remedy("{self.name()}", {self.effects()}, {{ verify = {verify}, within = "{self.rng.randint(3, 20)}s"{more} }}).outcome)'

    def temporarily(self, depth):
        approve = self.rng.choice(["", "", ", approve = true"])
        return (f'temporarily("{self.name()}", {self.effects()}, {{ within = "{self.rng.choice([5, 20, 60])}s"{approve} }}, '
                f"function() {self.body(depth + 1)} end)")

    def parallel(self, depth):
        return "parallel { " + ", ".join(f"function() {self.body(depth + 1)} end" for _ in range(self.rng.randint(2, 4))) + " }"

    def each(self, depth):
        return (f"each({{ 1, 2, 3, 4 }}, {{ at_once = {self.rng.randint(1, 3)}, stop_after_errors = {self.rng.randint(1, 3)} }}, "
                f'function(i) mark("e" .. i) {self.body(depth + 1)} end)')

    def attempt(self, depth):
        fail = self.rng.choice(["", ' error("oops", 0)'])
        return f'mark(tostring(try(function() {self.body(depth + 1)}{fail} end)))'

    def ask(self, _):
        return f'mark(ask("{self.rng.choice(["q", "r"])}", {{ "a", "b" }}, {{ within = "{self.rng.randint(2, 30)}s", otherwise = "none" }}))'

    def end(self, _):
        return "if shared > %d then %s end" % (self.rng.randint(3, 12), self.rng.choice(
            ['resolve "r"', 'no_action "n"', 'refuse "f"', 'escalate "e"', 'error("broken", 0)', 'error("broken", 0)']))

    def chance(self, _):
        return f'mark(tostring(math.random(100))) sleep(math.random(3))'

    def body(self, depth, most=4, inside=False):
        leaves = [self.sleep, self.mark, self.look, self.group, self.wait, self.ask, self.chance]
        if not inside:
            leaves += [self.remedy, self.remedy, self.end]
        if depth < 4:
            leaves += [self.parallel, self.attempt] + ([] if inside else [self.temporarily, self.temporarily, self.each])
        return " ".join(self.rng.choice(leaves)(depth) for _ in range(self.rng.randint(1, most)))

    def text(self):
        limits = f"time: {self.rng.choice(['20s', '1m', '10m', '2h'])}, remedies: {self.rng.choice([2, 20])}, targets: {self.rng.choice([1, 2, 9])}"
        body = "\n".join(self.parallel(0) if self.rng.random() < 0.6 else self.body(0) for _ in range(self.rng.randint(1, 3)))
        return f"""---
runbook: random
summary: random
uses: {{ kubernetes: k8s, prometheus: metrics }}
may:
  - {{ effect: kubernetes.scale, target: "deployment/p/*", at_most: 9 }}
limits: {{ {limits}, cooldown: 0s }}
---
# Random
```lua
local shared, begun = 0, now()
local function mark(text)
  shared = shared + 1
  note(text .. " " .. shared .. " " .. (now() - begun))
end
local function deployment(name) return kubernetes.deployment("p", name) end
local function reading(name) return prometheus.value(name) end
{body}
mark "end"
resolve "end"
```
"""


def world(rng, n):
    words = ["applied"] * 6 + ["cut", "cut", "absent", "absent", "409", "refused", "moved"] + ["timeout"] * (rng.random() < 0.2)
    effects = ", ".join(rng.choice(words) for _ in range(rng.randint(1, 9)))
    values = {x: f"{{ at: {{ 0s: {rng.randint(0, 9)}, 4s: {rng.choice([1, 5, 9, 'no_data', 'error'])}, 11s: {rng.randint(0, 9)} }} }}"
              for x in "abc"}
    reads = ", ".join(f"{x}: {v}, 'prometheus.value(\"{x}\")': {v}" for x, v in values.items())
    says = [rng.choice(["nobody", f"{{ say: {rng.choice(['a', 'b'])}, by: anna, after: {rng.choice([0, 1, 3, 10])}s }}"]) for _ in "qr"]
    agree = rng.choice(["nobody", f"{{ say: yes, by: ben, after: {rng.choice([0, 1, 5, 90])}s }}", "{ say: no, by: ben, after: 1s }",
                        "{ say: yes, by: ben }", "{ say: yes, by: ben }"])
    state = ", ".join(f"deployment/p/{x}: {{ replicas: {rng.randint(1, 6)}, generation: 4 }}" for x in "xyz" if rng.random() < 0.85)
    cancel = f"cancel: {rng.choice([0, 1, 1, 2, 3, 5, 8, 13, 40])}s, " if rng.random() < 0.3 else ""
    return (f"  - {{ name: w{n}, {cancel}given: {{ {reads} }}, effects: {{ kubernetes.scale: {{ then: [{effects}] }} }}, "
            f"people: {{ q: {says[0]}, r: {says[1]}, approve: {agree} }}, state: {{ {state} }}, expect: {{ outcome: any }} }}\n")


def one(program, path, seed):
    """What is wrong with the runs of one seed, or None."""
    rng = random.Random(seed)
    (path / "random.md").write_text(Program(rng).text())
    (path / "random.test.yaml").write_text("scenarios:\n" + "".join(world(rng, n) for n in range(WORLDS)))
    try:
        p = subprocess.run([program, "test", "random.md", "--config", "midwatch.yaml"], cwd=path, text=True, capture_output=True,
                           timeout=stand.patience(60), check=False, env={**os.environ, "MIDWATCH_STATE": ""})
    except subprocess.TimeoutExpired:
        return "it takes for ever"
    lines = p.stdout.splitlines()
    wrong = [line for line in lines if line.startswith("  ") and not line.startswith(HARMLESS)]
    if wrong or p.stderr or p.returncode < 0 or f"0 passed, {WORLDS} failed" not in p.stdout:
        shown = [line for i, line in enumerate(lines) if line in wrong or (line[:1] != " " and i + 1 < len(lines))]
        return "; ".join(wrong[:4]) + p.stderr[-600:] + ("" if wrong else " ".join(shown)[-300:])
    return None


def cases(program, path, _, seeds, first, keep):
    (path / "midwatch.yaml").write_text(CONFIG)
    failed = False
    for seed in [*FOUND, *(s for s in range(first, first + seeds) if s not in FOUND)]:
        wrong = one(program, path, seed)
        if wrong or seed in FOUND:
            yield f"random seed {seed}" + (f": {FOUND[seed]}" if seed in FOUND else ""), wrong or None
        for name in ("random.md", "random.test.yaml", "midwatch.yaml") if wrong and keep else ():
            kept = pathlib.Path(keep) / str(seed)
            kept.mkdir(parents=True, exist_ok=True)
            (kept / name).write_bytes((path / name).read_bytes())
        failed = failed or wrong
    if not failed:
        yield f"{seeds} random runbooks, each in {WORLDS} worlds", None


if __name__ == "__main__":
    stand.main(__doc__, cases, seeds=120, first=1, keep="")
