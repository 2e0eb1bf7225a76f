#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs everything that must hold before a change lands, part by part, and counts.

Each part is a function that yields (name, None or what went wrong). Parts run in lanes beside each other, and are
printed in their order. The last line is `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "flow"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import stand  # noqa: E402

RUNBOOKS = sorted(path for path in ROOT.glob("runbooks/*.md") if path.read_text(encoding="utf-8").startswith("---\n"))
VERBS = sorted(ROOT.glob("tests/flow/verbs/*.md"))
CORPUS = sorted(ROOT.glob("tests/flow/corpus/*.md"))
CONFIG = {**{book: ["--config", ROOT / "runbooks/midwatch.example.yaml"] for book in RUNBOOKS + CORPUS},
          **{book: ["--config", ROOT / "tests/flow/verbs/midwatch.yaml"] for book in VERBS}}
PLAIN = ROOT / "runbooks/high-latency.md"       # needs no configuration
SIM_SEEDS = 1000
DEMO = {"slow-model": ("resolved", 0), "db": ("resolved", 0), "capacity": ("resolved", 0), "none": ("no_action", 0),
        "metrics-down": ("escalated", 3), "cut": ("resolved", 0)}


def command(argv, timeout=600, **more):
    return subprocess.run([str(a) for a in argv], cwd=ROOT, text=True, capture_output=True, timeout=stand.patience(timeout), check=False,
                          **more)


def tail(p):
    return (p.stdout + p.stderr).strip()[-3000:] or f"exit {p.returncode}"


def part_lint(_):
    p = command([ROOT / "tests/lint/run"])
    yield "lint", None if p.returncode == 0 else tail(p)


def part_unit(build):
    p = command(["ctest", "--test-dir", build, "-j2", "--output-on-failure"], timeout=1500)
    lines = re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.+ *(.*?) +[\d.]+ sec$", p.stdout, re.M)
    for name, result in lines:
        yield "unit " + name, None if "Passed" in result else tail(p)
    if not lines:
        yield "unit", tail(p)


def part_scenarios(build):
    for book in RUNBOOKS + CORPUS:
        for verb in ("lint", "test"):
            p = command([build / "midwatch", verb, book, *CONFIG[book]])
            yield f"{verb} {book.name}", None if p.returncode == 0 else tail(p)
    for verb in ("lint", "test"):
        p = command([build / "midwatch", verb, PLAIN])
        yield f"{verb} without a configuration", None if p.returncode == 0 else tail(p)
    for book in VERBS:
        p = command([build / "midwatch", "test", book, *CONFIG[book]])
        yield f"test {book.name}", None if p.returncode == 0 else tail(p)


def scripts(build, pattern, word, at_once=1):
    files = sorted(ROOT.glob(pattern))
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        ended = list(pool.map(lambda script: command([sys.executable, script, "--build", build], timeout=900), files))
    for script, p in zip(files, ended):
        results = re.findall(r"^(ok|not ok) - (.*)$", p.stdout, re.M)
        for ok, name in results:
            yield f"{word} {name}", None if ok == "ok" else tail(p)
        if not results or (p.returncode and not any(ok == "not ok" for ok, _ in results)):
            yield f"{word} {script.stem}", tail(p)


def part_determinism(build):
    """Every scenario in processes that differ in what no run may depend on: equal to the byte."""
    yield from scripts(build, "tests/determinism/gate.py", "determinism")


def part_flow(build):
    yield from scripts(build, "tests/flow/*_flow.py", "flow", 3)


def part_e2e(build):
    """Against the real servers; ./dev e2e installs them."""
    yield from scripts(build, "tests/e2e/*_e2e.py", "e2e")


def part_crash(build):
    p = command([sys.executable, "tests/crash/crash.py", "--build", build, "--quick", "--kills", "60"], timeout=1500)
    m = re.search(r"^crash: (\d+) passed, (\d+) failed$", p.stdout, re.M)
    yield f"crash ({m.group(1) if m else 0} kills)", None if m and m.group(2) == "0" and p.returncode == 0 else tail(p)


def part_sim(build):
    """Named seeds, the planted faults that the checkers must find, and a walk over seeds."""
    for argv in (["--regressions"], ["--planted"], ["--nth", "--every", "29"]):
        p = command([build / "sim", *argv], timeout=300)
        results = re.findall(r"^(ok|not ok) - (.*)$", p.stdout, re.M)
        for ok, name in results:
            yield name, None if ok == "ok" else tail(p)
        if not results:
            yield "sim " + argv[0], tail(p)
    p = command([build / "sim", "--seeds", SIM_SEEDS, "--from", 1], timeout=600)
    yield f"sim ({SIM_SEEDS} seeds)", None if p.returncode == 0 else tail(p)


def part_fault(build):
    yield from scripts(build, "tests/fault/fault.py", "")


def part_cancel(build):
    p = command([sys.executable, "tests/crash/cancel.py", "--build", build], timeout=600)
    m = re.search(r"^cancel: (\d+) passed, 0 failed$", p.stdout, re.M)
    yield f"cancel ({m.group(1) if m else 0} kills)", None if m and p.returncode == 0 else tail(p)


def part_world(build):
    del build
    p = command([sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests/demo", "-p", "test_*.py"], timeout=300)
    yield "world", None if p.returncode == 0 else tail(p)


def part_demo(build):
    """The six faults, three at a time (they mostly sleep); each run replays to an equal journal."""
    jobs = []
    with tempfile.TemporaryDirectory(prefix="midwatch-test-") as scratch:
        waiting = list(DEMO.items())
        while waiting or jobs:
            while waiting and len(jobs) < 3:
                fault, expected = waiting.pop(0)
                argv = [sys.executable, "tests/demo/demo.py", "--program", build / "midwatch", "--fault", fault, "--keep",
                        f"{scratch}/{fault}"]
                jobs.append((fault, expected, subprocess.Popen([str(a) for a in argv], cwd=ROOT, text=True,
                                                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)))
            fault, (outcome, code), p = jobs.pop(0)
            out = p.communicate(timeout=400)[0]
            last = out.strip().split("\n")[-1]
            yield f"demo {fault}", None if (last, p.returncode) == ("outcome: " + outcome, code) else out[-3000:]
            state = f"{scratch}/{fault}/state"
            r = command([build / "midwatch", "replay", "1", "--state", state, "--config", f"{scratch}/{fault}/midwatch.yaml"])
            yield f"replay of demo {fault}", None if r.returncode == 0 else tail(r)


def part_valgrind(build):
    for argv in (["version"], ["lint", PLAIN], ["test", PLAIN]):
        p = command(["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
                     build / "midwatch", *argv], timeout=600)
        yield "valgrind " + " ".join(str(a) for a in argv[:1]), None if p.returncode == 0 else tail(p)


def part_fuzz(_):
    """Shortly: what was found before, and inputs from the corpora, the same ones every time. ./dev fuzz makes new ones."""
    p = command([sys.executable, "tests/fuzz/run.py", "--runs", "6000"], timeout=900)
    yield from ((name.split(":")[0], None if ok == "ok" else name)
                for ok, name in re.findall(r"^(ok|not ok) - (.*)$", p.stdout, re.M))
    if p.returncode and "not ok" not in p.stdout:
        yield "fuzz", tail(p)


PARTS = {"lint": part_lint, "unit": part_unit, "scenarios": part_scenarios, "determinism": part_determinism,
         "flow": part_flow, "world": part_world, "crash": part_crash, "cancel": part_cancel, "sim": part_sim,
         "valgrind": part_valgrind, "fuzz": part_fuzz, "demo": part_demo, "fault": part_fault, "e2e": part_e2e}
# What works, one after the other, and beside it what mostly sleeps.
LANES = [["lint", "unit", "scenarios", "determinism", "world", "crash", "cancel", "sim", "valgrind", "fuzz"],
         ["demo", "flow", "fault", "e2e"]]


def run_lane(names, build, results):
    """Runs parts one after the other; each result is put into its part's queue, then its seconds."""
    for name in names:
        begun = time.monotonic()
        try:
            for result in PARTS[name](build):
                results[name].put(result)
        except Exception as bad:  # pylint: disable=broad-except
            results[name].put((name, f"{type(bad).__name__}: {bad}"))
        results[name].put(time.monotonic() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="parts by name, with commas: " + " ".join(PARTS))
    args = parser.parse_args()
    chosen = [name for name in PARTS if name in (args.only.split(",") if args.only else PARTS)]
    results = {name: queue.Queue() for name in chosen}
    build = (ROOT / args.build).resolve()
    stand.Pace.of(build)
    passed, failures, begun = 0, [], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(LANES)) as pool:
        for lane in LANES:
            pool.submit(run_lane, [name for name in lane if name in chosen], build, results)
        for name in chosen:
            while isinstance(result := results[name].get(), tuple):
                case, wrong = result
                print(("ok      " if wrong is None else "NOT OK  ") + case, flush=True)
                passed += wrong is None
                failures += [result] if wrong is not None else []
            print(f"        {name}: {result:.1f} s", flush=True)
    for case, wrong in failures:
        print(f"\n--- {case}\n{wrong}")
    print(f"\nit took {time.monotonic() - begun:.0f} s\n{passed} passed, {len(failures)} failed")
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
