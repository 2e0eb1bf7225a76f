#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Paths per second of midwatch map: a runbook of 20 branches, once joining paths that go on alike and once each of
more than it may follow.

    tests/bench/map_bench.py [--build build]"""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile

FRONT = """\
---
runbook: twenty
summary: twenty branches
uses: { prometheus: metrics }
---
# Twenty

```lua
local o = observe {
"""


def measure(program, box, *args):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([program, "map", "twenty.md", "-o", "json", "--config", "c.yaml", *args], cwd=box, text=True, check=True,
                         capture_output=True).stdout
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    found, seconds = json.loads(out), use.ru_utime - before.ru_utime
    print(f"{' '.join(args) or 'joining'}: {found['explored']} paths, {found['ways']} ways, in {seconds:.2f} s of CPU: "
          f"{found['explored'] / seconds:.0f} paths/s, {use.ru_maxrss // 1024} MiB; explored: {found['ended']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    program = pathlib.Path(parser.parse_args().build).resolve() / "midwatch"
    reads = "".join(f"  r{i} = prometheus.value('m{i}'),\n" for i in range(20))
    branches = "".join(f"if o.r{i} > {i} then note 'over {i}' end\n" for i in range(20))
    with tempfile.TemporaryDirectory() as box:
        (pathlib.Path(box) / "twenty.md").write_text(FRONT + reads + "}\n" + branches + "resolve 'x'\n```\n")
        (pathlib.Path(box) / "c.yaml").write_text("instances: { metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' } }\n")
        measure(program, box)
        measure(program, box, "--each")


if __name__ == "__main__":
    main()
