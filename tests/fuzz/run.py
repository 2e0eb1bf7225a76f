#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzzers of the parsers: first over what was found before, then from their corpora and the project's own files,
each for its share of the time. An input that breaks something is kept in tests/fuzz/found, which makes it a regression.

Prints `ok - fuzz NAME: N inputs` or `not ok - fuzz NAME: why`."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
# What else each begins from.
SEEDS = {"book": ["runbooks", "tests/flow/corpus", "tests/flow/verbs"], "yaml": ["tests/flow/verbs"], "words": ["lua", "plugins"],
         "config": ["runbooks"], "json": ["plugins/postgres"]}
# A state of Lua frees what it made when it goes, not call by call.
FLAGS = {"value": ["-detect_leaks=0"], "pattern": ["-detect_leaks=0"], "words": ["-max_len=4096"]}


def targets(build):
    return sorted(path.name.removeprefix("fuzz_") for path in build.glob("fuzz_*") if path.is_file())


def run(argv, within):
    return subprocess.run([str(a) for a in argv], cwd="/", text=True, capture_output=True, timeout=within, check=False,
                          errors="replace")


def why(p):
    lines = re.findall(r"^(?:broken: .*|.*runtime error: .*|SUMMARY: .*|.*ALARM: .*)$", p.stderr, re.M)
    return "; ".join(lines[:2]) or p.stderr[-300:]


def fuzz(build, name, bounds):
    """What went wrong, or None; and what was done."""
    program = build / f"fuzz_{name}"
    found = HERE / "found" / name
    known = sorted(found.iterdir()) if found.is_dir() else []
    if known:
        p = run([program, *FLAGS.get(name, []), *known], 120)
        if p.returncode:
            return "an input that was found before: " + why(p), ""
    with tempfile.TemporaryDirectory(prefix="midwatch-fuzz-") as scratch:
        seeds = [HERE / "corpus" / name, *(ROOT / path for path in SEEDS.get(name, []))]
        p = run([program, scratch, *filter(pathlib.Path.is_dir, seeds), *bounds, "-max_len=16384", "-timeout=10",
                 "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={scratch}/new-", *FLAGS.get(name, [])],
                7200)
        for path in pathlib.Path(scratch).glob("new-*"):
            found.mkdir(parents=True, exist_ok=True)
            kept = found / path.name.removeprefix("new-")[:30]
            kept.write_bytes(path.read_bytes())
            return f"{why(p)} (kept as {kept.relative_to(ROOT)})", ""
        if p.returncode:
            return why(p), ""
    done = re.search(r"stat::number_of_executed_units: (\d+)", p.stderr)
    if not done or int(done[1]) < 100:
        return "almost nothing was tried: " + p.stderr[-300:], ""
    return None, f"{int(done[1]):,} inputs, {len(known)} found before"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build-fuzz", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=60, help="for all together")
    parser.add_argument("--runs", type=int, help="so many inputs each instead, the same ones every time")
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    names, failed = targets(build), 0
    if not names:
        sys.exit(f"fuzz: no fuzzers in {build}")
    bounds = [f"-max_total_time={max(1, args.seconds // len(names))}"]
    if args.runs:
        bounds = [f"-runs={args.runs}", "-seed=1", "-max_total_time=30"]
    for name in names:
        wrong, done = fuzz(build, name, bounds)
        failed += wrong is not None
        print(f"not ok - fuzz {name}: {wrong}" if wrong else f"ok - fuzz {name}: {done}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
