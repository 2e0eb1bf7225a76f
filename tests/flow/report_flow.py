#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reports of real runs: the page is well-formed and needs nothing else, its pictures are XML, an escalation leaves one file.

Prints `ok - name` or `not ok - name: why` per case."""
import html.parser
import os
import re
import subprocess
import xml.etree.ElementTree

import stand

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


def cases(program, box, _):
    def run(*words):
        return subprocess.run([str(program), *words, "--state", "s"], cwd=box, capture_output=True, timeout=stand.patience(60), check=False,
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
    yield from lines_stay_lines(program, box)
    lost = run("report", "1", "--out", "no/such/r.md")
    yield "a file that cannot be written", None if lost.returncode in (1, 2) and b"no/such" in lost.stderr else str(lost)


LINES = """---
runbook: lines
summary: what was written in lines
---
# T

```lua
note("what was seen:\\n  - one\\r\\n\\n3. three\\tand \\27[31mred")
follow_up("first this\\nthen that")
escalate("a person\\nis needed")
```
"""


def lines_stay_lines(program, box):
    """What an author wrote in lines is read in lines, in every form, and no line of it passes for another."""
    (box / "lines.md").write_text(LINES)
    run = [str(program), "run", "lines.md", "--state", "l"]
    done = subprocess.run(run, cwd=box, text=True, capture_output=True, timeout=stand.patience(60), check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "HOME": str(box)})
    forms = {"progress": done.stdout, "brief": done.stderr}
    for form in ("text", "md", "html", "json", "escalation"):
        forms[form] = subprocess.run([str(program), "report", "1", "-o", form, "--state", "l"], cwd=box, text=True,
                                     capture_output=True, timeout=stand.patience(60), check=False).stdout
    wanted = {
        "progress": ["s  note: what was seen:\n            - one\n\n          3. three and \\x1b[31mred\n"],
        "brief": ["Escalated: a person\n    is needed\n"],
        "text": [":8    note: what was seen:\n                   - one\n\n                 3. three and \\x1b[31mred\n"],
        "md": ["note: what was seen:  \n  \\- one  \n  3\\. three and \\\\x1b\\[31mred\n", "- [ ] follow up: first this  \n  then that\n"],
        "html": ["<h1>Escalated: a person\nis needed</h1>", "<li>first this\nthen that</li>", "li,h1{white-space:pre-line}"],
        "json": ['"follow_ups":["first this\\nthen that"]'],
        "escalation": ["**Escalated: a person  \n  is needed**", "- [ ] first this  \n  then that\n"]}
    for form, texts in wanted.items():
        for text in texts:
            yield f"lines in {form}", None if text in forms[form] else f"no {text!r} in {forms[form]}"


if __name__ == "__main__":
    stand.main(__doc__, cases)
