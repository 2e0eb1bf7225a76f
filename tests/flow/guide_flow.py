#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The language guide: it explains every word that a runbook sees, its Lua is Lua that lint takes, what it quotes stands in
the runbook it names, and its first runbook passes its scenarios. Prints `ok - name` or `not ok - name: why`."""
import pathlib
import re
import subprocess
import tempfile

import stand

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOKS = ROOT / "runbooks"
GUIDE = (BOOKS / "GUIDE.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "lua/language.lua").read_text(encoding="utf-8")
ENDING = (ROOT / "lua/ending.lua").read_text(encoding="utf-8")
FRONT = """---
runbook: extract
summary: an extract
uses: { kubernetes: prod-eu, prometheus: metrics, alertmanager: alerts, postgres: orders-db, ssh: hosts, gateway: gateway }
params: {%s}
---
"""


def words():
    """Every name that lua/language.lua publishes, and the helpers of list and text."""
    table = re.search(r"^local globals = \{(.*?)^\}", LANGUAGE, re.S | re.M).group(1)
    later = re.search(r"^local later = \{(.*?)^\}", LANGUAGE, re.S | re.M).group(1)
    found = set(re.findall(r"(\w+) =", table)) | set(re.findall(r'"(\w+)"', later))
    found |= set(re.findall(r"^globals\.(\w+) =", LANGUAGE, re.M)) | set(re.findall(r"^function verbs\.(\w+)", ENDING, re.M))
    for module in ("list", "text"):
        functions = re.findall(rf"^function ({module}\.\w+)", (ROOT / f"lua/{module}.lua").read_text(encoding="utf-8"), re.M)
        found |= set(functions)
    return sorted(found - {"list", "text"})


def blocks(language):
    """(first line, code, the text before, the text behind) of each fenced block."""
    for m in re.finditer(rf"^```{language}\n(.*?)^```$", GUIDE, re.S | re.M):
        yield GUIDE[:m.start()].count("\n") + 1, m.group(1), GUIDE[:m.start()], GUIDE[m.end():]


def in_code(word):
    prose = re.sub(r"^```\w+\n.*?^```$", "", GUIDE, flags=re.S | re.M)
    return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", " ".join(re.findall(r"`[^`]+`", prose)))


def explained(build):
    del build
    all_words = words()
    missing = [w for w in all_words if not in_code(w)]
    if len(all_words) < 40:
        return f"only {len(all_words)} words were found in lua/language.lua"
    return f"GUIDE.md does not explain {missing}" if missing else None


def closed(code):
    """A block that shows the beginning of something, closed, so that it can be read alone."""
    opened = []
    for token in re.findall(r"\b(?:function|then|do|end)\b|[(){}]", re.sub(r'"[^"\n]*"|\'[^\'\n]*\'', "", code)):
        if token in ("end", ")", "}"):
            if opened:
                opened.pop()
        else:
            opened.append({"(": ")", "{": "}"}.get(token, "end"))
    return code + " ".join(reversed(opened))


def locals_of(text):
    """The names that code declares: an extract may use what stands elsewhere in its runbook."""
    names = set()
    for line in re.findall(r"\blocal (?:function )?([\w, ]+)", text):
        names |= {name.strip() for name in line.split(",")}
    return {name for name in names if re.fullmatch(r"[A-Za-z_]\w*", name)}


def valid(build):
    elsewhere = locals_of(GUIDE + "".join(p.read_text(encoding="utf-8") for p in BOOKS.glob("*.md")))
    with tempfile.TemporaryDirectory(prefix="midwatch-guide-") as scratch:
        book = pathlib.Path(scratch) / "extract.md"
        for line, code, _, _ in blocks("lua"):
            params = ", ".join(f"{name}: {{ type: string }}" for name in sorted(set(re.findall(r"params\.(\w+)", code))))
            book.write_text(f"{FRONT % params}# Extract\n```lua\nlocal function extract()\n{closed(code)}\nend\n```\n", encoding="utf-8")
            p = subprocess.run([build / "midwatch", "lint", book, "--config", BOOKS / "midwatch.example.yaml"], text=True,
                               capture_output=True, check=False, timeout=stand.patience(60))
            wrong = [finding for finding in (p.stdout + p.stderr).splitlines() if p.returncode and finding
                     and not set(re.findall(r": (?:there is no )?'(\w+)'", finding)) & elsewhere]
            if wrong:
                return f"GUIDE.md:{line}: " + "\n".join(wrong)
    return None


def quoted(build):
    """An extract stands, line by line and in this order, in one of the runbooks that the text around it names."""
    del build
    shipped = {p.name: p.read_text(encoding="utf-8") for p in BOOKS.glob("*.md") if p.name != "GUIDE.md"}
    own = GUIDE.index("## The front matter")
    for line, code, before, behind in blocks("lua"):
        if len(before) < own:
            continue
        around = "\n".join(re.sub(r"^```lua\n.*?^```$", "", part, flags=re.S | re.M) for part in (before[-2500:], behind[:700]))
        named = [text for name, text in shipped.items() if f"`{name}`" in around]
        for text in named:
            at, lines = 0, [x.strip() for x in text.splitlines()]
            for wanted in (x.strip() for x in code.splitlines() if x.strip()):
                at = lines.index(wanted, at) + 1 if wanted in lines[at:] else None
                if at is None:
                    break
            if at is not None:
                break
        else:
            return f"GUIDE.md:{line}: no runbook that is named here has this extract"
    return None


def first_runbook(build):
    front = next(code for _, code, _, _ in blocks("yaml") if "runbook: too-few-replicas" in code)
    scenarios = next(code for _, code, _, _ in blocks("yaml") if "scenarios:" in code)
    lua = [code for _, code, before, _ in blocks("lua") if len(before) < GUIDE.index("## The front matter")]
    with tempfile.TemporaryDirectory(prefix="midwatch-guide-") as scratch:
        book = pathlib.Path(scratch) / "too-few-replicas.md"
        book.write_text(front + "# T\n" + "".join(f"\n```lua\n{code}```\n" for code in lua), encoding="utf-8")
        book.with_suffix(".test.yaml").write_text(scenarios, encoding="utf-8")
        for verb in ("lint", "test"):
            p = subprocess.run([build / "midwatch", verb, book], cwd=scratch, text=True, capture_output=True, check=False,
                               timeout=stand.patience(60))
            if p.returncode:
                return f"{verb}: {p.stdout}{p.stderr}"
    return None


def declared_commands(build):
    text = next(code for _, code, _, _ in blocks("yaml") if code.startswith("commands:"))
    with tempfile.TemporaryDirectory(prefix="midwatch-guide-") as scratch:
        config = pathlib.Path(scratch) / "midwatch.yaml"
        config.write_text(text, encoding="utf-8")
        p = subprocess.run([build / "midwatch", "plugin", "describe", "shell", "--config", config], text=True,
                           capture_output=True, check=False, timeout=stand.patience(60))
    missing = [name for name in re.findall(r"^  (\w+):", text, re.M) if f"shell.{name}" not in p.stdout]
    return f"{missing} of {p.stdout}{p.stderr}" if missing or p.returncode else None


def named_tests(_):
    """The tests that tests/README.md names are there."""
    table = (ROOT / "tests/README.md").read_text(encoding="utf-8").split("## What is hard")[1]
    named = 0
    for row in re.findall(r"^\|[^|]*\|[^|]*\| (.*) \|$", table, re.M):
        for files, names in re.findall(r"((?:`\w+\.py`(?:, )?)+): ((?:\"[^\"]+\"(?:, )?)+)", row):
            for file in re.findall(r"`(\w+\.py)`", files):
                text = (ROOT / "tests/flow" / file).read_text(encoding="utf-8")
                for name in re.findall(r'"([^"]+)"', names):
                    named += 1
                    if f'"{name}' not in text and f'f"{name}' not in text:
                        return f"{file} has no test named {name!r}"
    return None if named > 20 else f"only {named} tests were found"


CASES = {"guide: its commands are taken": declared_commands,
         "guide: every word is explained": explained, "guide: its Lua is valid": valid,
         "guide: what it quotes stands in the runbooks": quoted, "guide: the first runbook passes": first_runbook,
         "tests/README.md names tests that there are": named_tests}


def cases(program, *_):
    yield from ((name, case(program.parent) or None) for name, case in CASES.items())


if __name__ == "__main__":
    stand.main(__doc__, cases)
