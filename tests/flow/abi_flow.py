#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Journals recorded by every abi there was (tests/corpus/abi): this build replays those of its own abi and of the one
before to equal rows, goes on with what is open in them, and names the rest. A corpus that is empty, or that lacks a kind
of row, fails.

Prints `ok - name` or `not ok - name: why`."""
import gzip
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from stand import expect, main, patience  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/corpus/abi"


def number_in(file, pattern):
    return int(re.search(pattern, (ROOT / file).read_text()).group(1))


def kinds():
    """The names of rows in the order of their numbers."""
    body = re.search(r"enum row_kind \{(.*?)ROW_KINDS", (ROOT / "runner/journal/journal.h").read_text(), re.S).group(1)
    return re.findall(r"^\s+ROW_(\w+),", body, re.M)


def command(program, path, *words):
    p = subprocess.run([str(program), *words, "--state", str(path / "state"), "--config", str(path / "midwatch.yaml")], cwd=path,
                       text=True, capture_output=True, timeout=patience(120), check=False, stdin=subprocess.DEVNULL)
    return p.returncode, p.stdout, p.stderr


def unpack(packed, path):
    (path / "state").mkdir(parents=True, mode=0o700)
    with gzip.open(packed) as journal, open(path / "state/journal.db", "wb") as out:
        shutil.copyfileobj(journal, out)
    shutil.copyfile(packed.with_name(packed.name.replace(".db.gz", ".yaml")), path / "midwatch.yaml")
    (path / "midwatch.yaml").chmod(0o600)


def recorded(path):
    """Kinds of the rows of a journal, its runs, and those that have not ended."""
    db = sqlite3.connect(path / "state/journal.db")
    seen = {kind for kind, in db.execute("select distinct kind from journal")}
    runs, = db.execute("select count(*) from run").fetchone()
    left = [str(run) for run, in db.execute("select id from run where state != 4")]
    db.close()
    return seen, runs, left


def one(program, packed, path, runs_it):
    unpack(packed, path)
    seen, runs, left = recorded(path)
    name = f"abi {packed.parent.name}: {packed.name}"
    if not runs:
        yield name, "it holds no run"
    elif not runs_it:
        yield name + " is refused by name", expect(command(program, path, "replay", "--all"), 2, "has abi")
    else:
        yield name + " replays", expect(command(program, path, "replay", "--all"), 0, rf"{runs} runs? equal .* 0 different, 0 that")
        yield name + " is consistent", expect(command(program, path, "audit", "verify"), 0, "consistent")
        for run in left:
            yield f"{name}: run {run} goes on", expect(command(program, path, "resume", run), 0, "outcome: (resolved|no_action)")
        yield name + " is consistent again", expect(command(program, path, "audit", "verify"), 0, "consistent")
    yield None, (seen, left)


def cases(program, scratch, _):
    now = number_in("runner/book/bundle.h", r"#define MIDWATCH_ABI (\d+)")
    names = kinds()
    for abi in range(1, now + 1):
        packed = sorted((CORPUS / str(abi)).glob("*.db.gz"))
        seen, left = set(), []
        yield f"abi {abi} has a corpus", None if packed else "tests/corpus/record.py records it"
        for journal in packed:
            for name, result in one(program, journal, scratch / f"{abi}-{journal.name}", abi >= now - 1):
                if name:
                    yield name, result
                else:
                    seen, left = seen | result[0], left + result[1]
        missing = [name for k, name in enumerate(names) if k not in seen]
        if abi == now:
            yield f"abi {abi} has every kind of row", f"missing: {' '.join(missing)}" if missing else None
        yield f"abi {abi} has a run that is open", None if left else "none"


main(__doc__, cases)
