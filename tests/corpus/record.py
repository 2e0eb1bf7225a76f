#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records the corpus of the abi that this build has: journals with every kind of row, each with the configuration it was
made under, into tests/corpus/abi/N. Run once when MIDWATCH_ABI or the journal's format changes; those of earlier abis stay
as they are, and tests/flow/abi_flow.py holds every build to all of them."""
import argparse
import gzip
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Journals out of scenarios: name, configuration, runbooks.
PLAYED = (("verbs", "tests/flow/verbs/midwatch.yaml", "tests/flow/verbs/*.md"),
          ("latency", "runbooks/midwatch.example.yaml", "runbooks/high-latency.md"))
CONFIG = """\
instances: { sh: { plugin: shell } }
commands:
  one: { argv: [echo, hi], read: { returns: string } }
  lost: { argv: [sh, -c, "kill -9 $$"], effect: { class: never_twice, target: "thing", undo: not needed } }
channels: { ops: { argv: [cat] } }
"""
LOST = """notify("ops", "it begins")
remedy("lose it", shell.lost(), { verify = function() return true end, when = function() return true end, within = "5s" })
resolve "done" """
# With tests/crash/stuck.c in front of it, it ends the process.
STUCK = 'observe(shell.one()) sleep "2s"\nif "crash in C" < "x" then note "past" end\nno_action "through"'
SLEEPS = 'note "begun"\nsleep "2s"\nresolve "slept"'


def book(name, code, may=""):
    return f"---\nrunbook: {name}\nsummary: of the corpus\nuses: {{ shell: sh }}\nlimits: {{ time: 36500d }}\n{may}---\n# Corpus\n\n```lua\n{code}\n```\n"


def abi():
    return int(re.search(r"#define MIDWATCH_ABI (\d+)", (ROOT / "runner/book/bundle.h").read_text()).group(1))


def lived(program, path):
    """What scenarios do not have: a person settles, a run is taken up again, one is set aside, one stays open, and a halt."""
    def run(*words, **env):
        p = subprocess.run([program, *words, "--state", "state"], cwd=path, text=True, capture_output=True, check=False, timeout=60,
                           env={**os.environ, "HOME": str(path), **env})
        return p.returncode, p.stdout + p.stderr

    def left(name, run_id):
        """A run whose process is told to stop as soon as its first rows are durable."""
        p = subprocess.Popen([program, "run", f"{name}.md", "--state", "state"], cwd=path, env={**os.environ, "HOME": str(path)},
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until and not re.search(r"begun|one", run("show", run_id)[1]):
            time.sleep(0.05)
        p.send_signal(signal.SIGTERM)
        p.wait(30)

    (path / "midwatch.yaml").write_text(CONFIG)
    (path / "lost.md").write_text(book("lost", LOST, 'may:\n  - { effect: shell.lost, target: "thing" }\n'))
    (path / "stuck.md").write_text(book("stuck", STUCK))
    (path / "sleeps.md").write_text(book("sleeps", SLEEPS))
    for words, code in ((("run", "lost.md"), 6), (("settle", "1", "applied"), 0), (("resume", "1"), 0), (("halt", "why not"), 0),
                        (("halt", "--release"), 0)):
        got = run(*words)
        if got[0] != code:
            sys.exit(f"{' '.join(words)}: exit {got[0]} instead of {code}: {got[1]}")
    left("stuck", "2")
    run("resume", "--all", LD_PRELOAD=str(program.parent / "stuck.so"))
    if "quarantined" not in run("list")[1]:
        sys.exit(f"run 2 is not set aside: {run('list')[1]}")
    left("sleeps", "3")
    return path / "state", path / "midwatch.yaml"


def keep(state, config, name, out):
    db = sqlite3.connect(state / "journal.db", isolation_level=None)
    db.execute("pragma journal_mode = delete")      # the log goes into the file
    db.close()
    with open(state / "journal.db", "rb") as journal, gzip.GzipFile(out / f"{name}.db.gz", "wb", mtime=0) as packed:
        shutil.copyfileobj(journal, packed)
    shutil.copyfile(config, out / f"{name}.yaml")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    build = pathlib.Path(parser.parse_args().build).resolve()
    out = ROOT / "tests/corpus/abi" / str(abi())
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="midwatch-corpus-") as scratch:
        for name, config, books in PLAYED:
            state = pathlib.Path(scratch) / name
            subprocess.run([build / "determinism_child", f"state={state}", "one", f"config={config}",
                            *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(books))],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            keep(state, ROOT / config, name, out)
        path = pathlib.Path(scratch) / "people"
        path.mkdir()
        keep(*lived(build / "midwatch", path), "lived", out)


if __name__ == "__main__":
    main()
