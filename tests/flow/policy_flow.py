#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What binds several runs: cooldown, budgets, the operator's allow-list. Prints `ok - name` or `not ok - name: why`."""
import argparse
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
from cli_flow import CONFIG, FRONT, MAY, Box, book, expect  # noqa: E402


def touching(box, limits, *files, name="t.md"):
    code = "\n".join(f"remedy('touch {f}', shell.touch {{ file = '{f}' }}, {{ verify = 'applied' }})" for f in files)
    front = FRONT.replace("runbook: t", "runbook: " + name.removesuffix(".md"))
    return box.write(book(code + "\nresolve 'done'", front + MAY + f"limits: {{ {limits} }}\n"), name)


def sent(box, *files):
    missing = [f for f in files if not (box.path / f).exists()]
    return f"not sent: {missing}" if missing else None


def cooldown_cases(box):
    run = touching(box, "cooldown: 3s", "a")
    yield "the first run acts", expect(box.run("run", run, "--state", "s"), 0, r"outcome: resolved") or sent(box, "a")
    (box.path / "a").unlink()
    yield "the next one must wait", expect(box.run("run", run, "--state", "s"), 4, r"cooling_down") or \
        (None if not (box.path / "a").exists() else "it was sent")
    other = touching(box, "cooldown: 3s", "b", name="u.md")
    yield "another target need not", expect(box.run("run", other, "--state", "s"), 0) or sent(box, "b")
    until = time.monotonic() + 15
    while box.run("run", run, "--state", "s")[0] != 0 and time.monotonic() < until:
        time.sleep(0.2)
    yield "and once it is over it acts again", sent(box, "a")
    yield "within one run there is no cooldown", expect(
        box.run("run", touching(box, "cooldown: 1h", "c", "d", name="v.md"), "--state", "s"), 0) or sent(box, "c", "d")


def budget_cases(box):
    run = touching(box, "cooldown: 0s, remedies: 2, targets: 5", "a", "b", "c")
    yield "limits.remedies", expect(box.run("run", run, "--state", "s"), 4, r"over_budget", r"2 remedies") or \
        sent(box, "a", "b") or (None if not (box.path / "c").exists() else "the third was sent")
    run = touching(box, "cooldown: 0s, remedies: 5, targets: 1", "d", "e")
    yield "limits.targets", expect(box.run("run", run, "--state", "s"), 4, r"over_budget") or sent(box, "d") or \
        (None if not (box.path / "e").exists() else "the second was sent")


def allow_cases(box):
    run = touching(box, "cooldown: 0s", "a")
    (box.path / "midwatch.yaml").write_text(CONFIG + 'allow: [ { effect: shell.touch, target: "sh:file/b*" } ]\n')
    yield "what the operator does not allow", expect(box.run("run", run, "--state", "s"), 4, r"not_allowed") or \
        (None if not (box.path / "a").exists() else "it was sent")
    run = touching(box, "cooldown: 0s", "b")
    yield "what he allows", expect(box.run("run", run, "--state", "s"), 0, r"outcome: resolved") or sent(box, "b")


def undo_cases(box):
    run = touching(box, "cooldown: 1h", "a")
    box.run("run", run, "--state", "s")
    box.run("run", box.write(book("resolve 'nothing'"), "t.md"), "--state", "s")
    yield "undo of an ended run", expect(box.run("undo", 1, "--state", "s"), 0, r"touch on sh:file/a", r"needs no undo|skipped|outcome: resolved")
    yield "undo of one that changed nothing", expect(box.run("undo", 2, "--state", "s"), 2, r"changed nothing")
    yield "undo of none", expect(box.run("undo", 9, "--state", "s"), 2, r"no run 9|9")
    yield "and it replays", expect(box.run("replay", 3, "--state", "s"), 0, r"equal")


GROUPS = {"undo": undo_cases, "cooldown": cooldown_cases, "budget": budget_cases, "allow": allow_cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="midwatch-policy-") as scratch:
        for group, cases in GROUPS.items():
            for name, wrong in cases(Box(pathlib.Path(args.build).resolve() / "midwatch", pathlib.Path(scratch) / group)):
                failed += wrong is not None
                print(f"{'ok' if wrong is None else 'not ok'} - {name}{': ' + wrong if wrong else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
