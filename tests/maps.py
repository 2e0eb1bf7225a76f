#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the maps of the shipped runbooks: runbooks/maps/NAME.md and NAME.svg, and the list of them. `./dev maps` writes them,
tests/flow/maps_flow.py compares."""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAPS = ROOT / "runbooks" / "maps"
CONFIG = "runbooks/midwatch.example.yaml"
HEAD = """# The shipped runbooks

Each with all ways through its code, as `midwatch map` draws them: as a page, and as a picture. `./dev maps` writes this folder.

| runbook | what for | started by | may change | |
|---|---|---|---|---|
"""


def names():
    return sorted(p.stem for p in (ROOT / "runbooks").glob("*.md") if p.with_suffix(".test.yaml").exists())


def draw(program, name, form, minutes):
    p = subprocess.run([str(program), "map", f"runbooks/{name}.md", "-o", form, "--within", f"{minutes}m", "--config", CONFIG],
                       cwd=ROOT, capture_output=True, timeout=225 * minutes, check=False)
    if p.returncode:
        raise RuntimeError(f"map {name} -o {form}: " + p.stderr.decode(errors="replace"))
    return p.stdout.decode()


def files_of(program, name, minutes):
    page = draw(program, name, "markdown", minutes)
    files = {name + ".md": page}
    if "```text" in page:
        files[name + ".svg"] = draw(program, name, "svg", minutes)
    return files


def line_of(name, files):
    page = files[name + ".md"]
    row = dict(re.findall(r"^\| (.+?) \| (.*) \|$", page, re.M))
    picture = f"[picture]({name}.svg)" if name + ".svg" in files else "not drawn"
    return f"| [{name}]({name}.md) | {page.splitlines()[2]} | {row['started by']} | {row['may change']} | {picture} |\n"


def drawn(program, minutes=4):
    """{name: text} of all files that belong into runbooks/maps."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        each = dict(zip(names(), pool.map(lambda name: files_of(program, name, minutes), names())))
    files = {"README.md": HEAD + "".join(line_of(name, of) for name, of in each.items())}
    for of in each.values():
        files.update(of)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    files = drawn(pathlib.Path(parser.parse_args().build).resolve() / "midwatch")
    MAPS.mkdir(exist_ok=True)
    for path in MAPS.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (MAPS / name).write_bytes(text.encode())
    print(f"{len(files)} files in {MAPS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
