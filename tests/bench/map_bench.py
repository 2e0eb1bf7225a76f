#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Paths per second of midwatch map: a runbook of 20 branches, of which there are more paths than it may follow.

    tests/bench/map_bench.py [--build build]"""
import argparse
import pathlib
import re
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    program = pathlib.Path(parser.parse_args().build).resolve() / "midwatch"
    reads = "".join(f"  r{i} = prometheus.value('m{i}'),\n" for i in range(20))
    branches = "".join(f"if o.r{i} > {i} then note 'over {i}' end\n" for i in range(20))
    with tempfile.TemporaryDirectory() as box:
        (pathlib.Path(box) / "twenty.md").write_text(FRONT + reads + "}\n" + branches + "resolve 'x'\n```\n")
        (pathlib.Path(box) / "c.yaml").write_text("instances: { metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' } }\n")
        out = subprocess.run([program, "map", "twenty.md", "--check", "--config", "c.yaml"], cwd=box, text=True, check=False,
                             capture_output=True).stdout
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = int(re.search(r"after (\d+) paths", out)[1])
    print(f"{paths} paths in {use.ru_utime:.2f} s of CPU: {paths / use.ru_utime:.0f} paths/s, {use.ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
