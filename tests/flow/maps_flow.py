#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The maps in the documentation are those that the program draws, and their links lead somewhere.

Prints `ok - name` or `not ok - name: why` per case."""
import pathlib
import re
import sys

import stand

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
# pylint: disable=wrong-import-position
import maps  # noqa: E402


def difference(path, text):
    if not path.exists():
        return "it is not there (./dev maps writes it)"
    for n, (old, new) in enumerate(zip(path.read_bytes().decode().split("\n"), text.split("\n")), 1):
        if old != new:
            return f"line {n} is {old!r}, the program draws {new!r} (./dev maps writes it)"
    return None if path.read_bytes() == text.encode() else "it ends otherwise (./dev maps writes it)"


def cases(program, _, only):
    files = maps.drawn(program, stand.patience(4))
    for name, text in files.items():
        if only in name:
            yield f"runbooks/maps/{name} is what the program draws", difference(maps.MAPS / name, text)
    more = sorted(p.name for p in maps.MAPS.iterdir() if p.name not in files)
    yield "and nothing else is there", ", ".join(more) or None
    links = re.findall(r"\]\(([^)]+)\)", (maps.MAPS / "README.md").read_text(encoding="utf-8"))
    dead = [link for link in links if not (maps.MAPS / link).exists()]
    yield "every runbook is listed, every link leads somewhere", None if not dead and len(links) >= len(maps.names()) else str(dead)


if __name__ == "__main__":
    stand.main(__doc__, cases)
