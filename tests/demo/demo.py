#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, on a small production that is really broken: start it, run the runbook on it, show the report.

Exits with the run's exit code; the last line is `outcome: <outcome>`.
"""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS = ("slow-model", "db", "capacity", "none", "metrics-down", "cut")
READY_WITHIN_S = 90


def start_world(directory, fault, log):
    """The production as a child; returns it once its trouble shows."""
    world = subprocess.Popen([sys.executable, str(ROOT / "tests" / "demo" / "world.py"), "--dir", str(directory),
                              "--fault", fault], stdout=log, stderr=subprocess.STDOUT)
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        if (directory / "ready").exists():
            return world
        if world.poll() is not None:
            break
        time.sleep(0.1)
    stop_world(world)
    sys.exit("demo: the small production did not start: " + pathlib.Path(log.name).read_text()[-2000:])


def stop_world(world):
    if world.poll() is None:
        world.terminate()
        try:
            world.wait(10)
        except subprocess.TimeoutExpired:
            world.kill()
            world.wait()


def run(program, directory, *words):
    argv = [str(program), *words, "--config", str(directory / "midwatch.yaml"), "--state", str(directory / "state")]
    print("$ midwatch " + " ".join(words), flush=True)
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", default="build/midwatch")
    parser.add_argument("--fault", default="slow-model", choices=FAULTS)
    parser.add_argument("--keep", help="work in this directory and leave it there")
    args = parser.parse_args()
    program = pathlib.Path(args.program).resolve()
    # An interrupt is for the run to ask about; the production ends when we do.
    signal.signal(signal.SIGINT, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="midwatch-demo-") as scratch:
        directory = pathlib.Path(args.keep or scratch)
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / "world.log", "w", encoding="utf-8") as log:
            print(f"demo: starting a small production with the fault '{args.fault}' ...", flush=True)
            world = start_world(directory, args.fault, log)
            try:
                code = run(program, directory, "run", "runbooks/high-latency.md", "--alert", str(directory / "alert.json"))
                run(program, directory, "report", "1")
            finally:
                stop_world(world)
        outcome = subprocess.run([str(program), "list", "-o", "json", "--config", str(directory / "midwatch.yaml"),
                                  "--state", str(directory / "state")], cwd=ROOT, capture_output=True, text=True, check=False)
        print("outcome: " + outcome_of(outcome.stdout), flush=True)
    return code


def outcome_of(text):
    """The outcome of the newest run in what `list -o json` printed."""
    import json
    try:
        runs = json.loads(text)
        newest = (runs["runs"] if isinstance(runs, dict) else runs)[0]
        return newest.get("outcome") or newest.get("state") or "none"
    except (ValueError, KeyError, IndexError, TypeError):
        return "none"


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    sys.exit(main())
