#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reports of real runs: the page is well-formed and needs nothing else, its pictures are XML, an escalation leaves one file.

Prints `ok - name` or `not ok - name: why` per case."""
import argparse
import html.parser
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

CONFIG = """\
instances: { sh: { plugin: shell } }
commands:
  say: { argv: [echo, "<script>alert(1)</script>]]>\\u202e"], read: true }
"""
BOOK = """---
runbook: t
summary: a test
uses: { shell: sh }
---
# T

## Look <here>
```lua
local said = observe(shell.say())
%s
```
"""
VOID = {"meta", "br"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "link", "img", "iframe", "object", "base", "form"):
            self.wrong.append(f"<{tag}>")
        self.wrong += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or name in ("src", "href", "style")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> where it does not belong")


def faults_of(text):
    page = Page()
    page.feed(text)
    page.close()
    if page.wrong or page.open:
        return f"{page.wrong} {page.open}"
    pictures = re.findall(r"<svg.*?</svg>", text, re.S)
    for picture in pictures:
        xml.etree.ElementTree.fromstring(picture)
    return None if pictures else "no picture"


def cases(program, box):
    def run(*words):
        return subprocess.run([str(program), *words, "--state", "s"], cwd=box, capture_output=True, timeout=60, check=False,
                              env={**os.environ, "HOME": str(box)})
    (box / "midwatch.yaml").write_text(CONFIG)
    for number, ending in enumerate(("resolve(said)", "escalate(said)", "no_action 'x'"), 1):
        (box / "t.md").write_text(BOOK % ending)
        done = run("run", "t.md")
        made = run("report", str(number), "-o", "html", "--out", "r.html")
        text = (box / "r.html").read_text(encoding="utf-8") if made.returncode == 0 else ""
        yield f"the page of {ending}", faults_of(text) if text else str(made.stderr + done.stderr)
        yield f"no stray control in {ending}", "bidi" if "\u202e" in text else None
    file = box / "s/escalations/2.md"
    text = file.read_text() if file.exists() else ""
    yield "an escalation is one file", None if "### How to go on" in text and "### Timeline" in text else f"{text!r}"
    yield "only escalations are", None if len(list(file.parent.glob("*"))) == 1 else "more files"
    wrong = run("report", "1", "-o", "pdf")
    yield "an unknown form", None if wrong.returncode == 2 and b"html" in wrong.stderr else str(wrong)
    lost = run("report", "1", "--out", "no/such/r.md")
    yield "a file that cannot be written", None if lost.returncode in (1, 2) and b"no/such" in lost.stderr else str(lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="midwatch-report-") as scratch:
        for name, wrong in cases(pathlib.Path(args.build).resolve() / "midwatch", pathlib.Path(scratch)):
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - {name}{': ' + wrong if wrong else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
