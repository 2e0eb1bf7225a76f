#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every scenario in several processes that differ in what no run may depend on: address layout, environment, garbage
collector, layout of the heap, journal in memory or in a file. Their journals are equal to the byte (their hash chains are).
Then each difference is proven to be one: a world whose answers depend on it is found.

Prints `ok - name` or `not ok - name: why`."""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE, VERBS = ROOT / "runbooks/midwatch.example.yaml", ROOT / "tests/flow/verbs/midwatch.yaml"
FLOWS = ([(book, EXAMPLE) for book in sorted(ROOT.glob("runbooks/*.md")) if book.with_suffix(".test.yaml").exists()] +
         [(book, VERBS) for book in sorted(ROOT.glob("tests/flow/verbs/*.md"))] +
         [(book, EXAMPLE) for book in sorted(ROOT.glob("tests/flow/corpus/*.md"))])
STILL = ["setarch", platform.machine(), "-R"]       # no address space layout randomization
NOISE = {"MALLOC_PERTURB_": "165", "PADDING": "x" * 5000, "MALLOC_ARENA_MAX": "1"}
# Everything at once; where the journals then differ, each alone tells which it is.
EVERYTHING = ([], ["gc", "pad=3001"], NOISE)
# Every run that waits is freed, and rebuilt from its rows.
EVICTED = (STILL, ["evict"], {})
# What differs: a prefix of the command, words for the child, its environment.
WAYS = {"addresses at random": ([], [], {}), "and again": ([], [], NOISE), "the collector all the time": (STILL, ["gc"], {}),
        "another heap": (STILL, ["pad=3001"], NOISE), "a journal file": (STILL, [], {})}
# Which accident shows that a way differs from the plain one: its name for the child.
PLANTS = {"address": ([], [], {}), "collector": (STILL, ["gc"], {}), "heap": (STILL, ["pad=3001"], {})}


class Gate:
    def __init__(self, build, scratch):
        self.child, self.scratch, self.n = build / "determinism_child", scratch, 0

    def run(self, book, config, way, *words, file=False):
        """[(scenario, chain)], or what went wrong."""
        prefix, more, env = way
        self.n += 1
        state = []
        if file:
            (self.scratch / str(self.n)).mkdir()
            state = [f"state={self.scratch / str(self.n)}"]
        p = subprocess.run([*prefix, str(self.child), *more, *state, *words, f"config={config}", str(book)], cwd=ROOT,
                           text=True, capture_output=True, timeout=300, check=False, env={**os.environ, **env})
        if p.returncode or not p.stdout:
            return f"exit {p.returncode}: {p.stderr[-600:]}"
        seen = [json.loads(line) for line in p.stdout.splitlines()]
        failed = [f"{s['name']}: {s['why']}" for s in seen if not s["passed"]]
        return "; ".join(failed)[:800] or [(s["name"], s["chain"]) for s in seen]

    def same(self, book, config):
        """What differs, or None."""
        plain = self.run(book, config, (STILL, [], {}))
        if isinstance(plain, str):
            return plain
        got = self.run(book, config, EVERYTHING, file=True)
        if got == plain:
            got = self.run(book, config, EVICTED)
            return None if got == plain else f"evicted: {got if isinstance(got, str) else 'the journals differ'}"
        for name, way in WAYS.items():
            got = self.run(book, config, way, file=name == "a journal file")
            if got != plain:
                return f"{name}: {got if isinstance(got, str) else [a[0] for a, b in zip(plain, got) if a != b]}"
        return f"only with everything at once: {got if isinstance(got, str) else 'the journals differ'}"

    def planted(self, kind):
        """None if the gate sees it."""
        book, way = ROOT / "tests/determinism/plant.md", PLANTS[kind]
        plain = self.run(book, EXAMPLE, (STILL, [], {}), f"plant={kind}")
        again = self.run(book, EXAMPLE, (STILL, [], {}), f"plant={kind}")
        other = [self.run(book, EXAMPLE, way, f"plant={kind}") for _ in range(4)]
        if isinstance(plain, str) or any(isinstance(got, str) for got in other):
            return f"{plain} {other}"[:600]
        if plain != again:
            return "the plain way differs from itself"
        return None if any(got != plain for got in other) else "it is not seen"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="midwatch-gate-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as scratch:
        gate = Gate(pathlib.Path(args.build).resolve(), pathlib.Path(scratch))
        for kind in PLANTS:
            wrong = gate.planted(kind)
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - a planted {kind} is seen{': ' + wrong if wrong else ''}", flush=True)
        for book, config in FLOWS:
            wrong = gate.same(book, config)
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - {book.name}{': ' + wrong if wrong else ''}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
