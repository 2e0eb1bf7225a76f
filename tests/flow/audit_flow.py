#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Journals that are not what was written: altered in every column, cut, torn, from a newer version, of another abi, used by
two at once. Each is named, and nothing is acted upon.

Prints `ok - name` or `not ok - name: why`."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from stand import Box, expect, main, patience, wait_for  # noqa: E402

CONFIG = """\
instances: { sh: { plugin: shell } }
commands:
  hello: { argv: [echo, hello], read: true }
  look: { argv: [test, -e, "{{file}}"], params: { file: { type: string, match: "[a-z0-9]+" } }, read: true }
  touch: { argv: [touch, "{{file}}"], params: { file: { type: string, match: "[a-z0-9]+" } },
           effect: { class: ensure, target: "file/{{file}}", check: look, undo: not needed } }
"""
MAY = 'may:\n  - { effect: shell.touch, target: "file/*", at_most: 3 }\n'
CODE = """observe(shell.hello())
note "seen"
remedy("make it", shell.touch { file = "made" }, { verify = "applied", within = "5s" })
resolve "done" """
SLEEPS = 'note "begun"\nsleep "30s"\nresolve "done"'
APPEND_ONLY = ("journal_no_update", "journal_no_delete", "change_no_update", "change_no_delete")


def damaged(box, name, *statements):
    """A copy of the journal in state directory `full`, changed by these statements."""
    state = box.path / name
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(box.path / "full", state)
    db = sqlite3.connect(state / "journal.db", isolation_level=None)
    for trigger in APPEND_ONLY:
        db.execute(f"drop trigger {trigger}")
    for statement in statements:
        db.execute(statement)
    db.close()
    return state


def fill(box):
    """A journal with a finished run that changed something, one that was left, and a halt that was released."""
    front = MAY
    for code in (CODE, CODE.replace("made", "other")):
        text = f"---\nrunbook: t\nsummary: a test\nuses: {box.uses}\n{front}---\n# T\n\n```lua\n{code}\n```\n"
        (box.path / "t.md").write_text(text)
        wrong = expect(box.command("run", "t.md", "--state", "full"), 0, "outcome: resolved")
        if wrong:
            return wrong
    box.command("halt", "why not", "--state", "full")
    box.command("halt", "--release", "--state", "full")
    box.command("revoke", "0123456789abcdef", "why not", "--state", "full")
    (box.path / "s.md").write_text(f"---\nrunbook: s\nsummary: a test\nuses: {box.uses}\n---\n# S\n\n```lua\n{SLEEPS}\n```\n")
    p = subprocess.Popen([box.program, "run", "s.md", "--state", "full"], cwd=box.path, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(box.path)})
    wait_for(lambda: "begun" in box.command("show", "3", "--state", "full")[1])
    p.send_signal(signal.SIGTERM)
    p.wait(patience(30))
    return None


def sound(box):
    """What is not damaged is called so, beside the findings' exit code."""
    yield "verify", expect(box.command("audit", "verify", "--state", "full"), 0, r"consistent: 3 runs, \d+ rows, \d+ changes")
    yield "verify one run", expect(box.command("audit", "verify", "1", "--state", "full"), 0, "consistent: 1 run")
    yield "rebuild --check", expect(box.command("audit", "rebuild", "--check", "--state", "full"), 0, "are what the log says")
    yield "rebuild", expect(box.command("audit", "rebuild", "--state", "full"), 0, "are what the log says")
    yield "replay --all", expect(box.command("replay", "--all", "--state", "full"), 0, r"3 runs equal \(\d+ rows; 1 not ended\), 0 different")
    got = box.command("replay", "--all", "-o", "json", "--state", "full")
    told = json.loads(got[1]) if got[0] == 0 else {}
    yield "replay --all as JSON", None if (told.get("equal"), told.get("open"), told.get("runs")) == (3, 1, []) else got[1] + got[2]
    yield "replay without a run", expect(box.command("replay", "--state", "full"), 2, "one RUN, or --all")
    yield "a misspelt word", expect(box.command("audit", "verfiy", "--state", "full"), 2, "did you mean 'verify'")


def flips(box):
    """Every column of every table, one row of each: changed, it is found."""
    db = sqlite3.connect(f"file:{box.path}/full/journal.db?mode=ro", uri=True)
    tables = [name for name, in db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite%'")]
    missed, empty = [], []
    for table in tables:
        key = {"bundle": "id", "blob": "sha256", "bundle_file": "path"}.get(table, "id")
        row = db.execute(f"select {key} from {table} order by {key} limit 1 offset (select count(*) / 2 from {table})").fetchone()
        if row is None:
            empty.append(table)
            continue
        for _, column, kind, *_ in db.execute(f"pragma table_info({table})").fetchall():
            if (table, column) == ("journal", "id"):        # a row's place in the file; it says nothing
                continue
            other = {"TEXT": f"coalesce({column}, '') || 'x'", "INTEGER": f"{column} + 1000003", "BLOB": f"cast({column} || x'00' as blob)"}[kind]
            where = f"{key} = x'{row[0].hex()}'" if isinstance(row[0], bytes) else f"{key} = '{row[0]}'"
            try:
                state = damaged(box, "flipped", f"update {table} set {column} = {other} where {where}")
            except sqlite3.IntegrityError as refused:
                if column == "id" and table in ("halt", "system"):      # a table of one row, by its own rule
                    continue
                missed.append(f"{table}.{column}: {refused}")
                continue
            code, out, err = box.command("audit", "verify", "--state", state)
            if code != 1 or not re.search(r"NOT consistent|damaged", out + err):
                missed.append(f"{table}.{column}: exit {code}: {(out + err)[-200:]}")
    db.close()
    yield "every column of every table", "; ".join(missed) or (None if set(empty) <= {"halt", "escalation", "lock", "breaker", "approval"} else f"empty: {empty}")


def rows(box):
    """What is said of rows, and by whom. A run whose rows were changed is not taken up."""
    cases = [
        ("a row is gone", "delete from journal where run = 1 and seq = 3", r"run 1, row 3: it is missing"),
        ("the last row is gone", "delete from journal where run = 1 and seq = (select max(seq) from journal where run = 1)",
         r"run 1, row \d+: the rows that follow are missing"),
        ("all rows are gone", "delete from journal where run = 2", r"run 2, row 1: all its rows are missing"),
        ("an orphan row", "insert into journal select 9999, 77, seq, epoch, kind, path, name, args_hash, args, payload, at, chain"
         " from journal where run = 1 and seq = 1", r"run 77, row 1: there is no such run"),
        ("a payload", "update journal set payload = '{\"line\":1}' where run = 1 and seq = 2", r"run 1, row 2: it is not as it was written"),
        ("a kind there is not", "update journal set kind = 250 where run = 1 and seq = 2", r"run 1, row 2"),
        ("a change is gone", "delete from change where id = 2", r"change 3: it, or one before it"),
        ("a source", "update blob set data = cast(data || x'20' as blob) where sha256 = (select sha256 from bundle_file limit 1)",
         r"the sources: text \w+ is not what its hash says"),
        ("a manifest", "update bundle set meta = cast(meta || x'20' as blob)", r"its sources: the manifest is not what its hash says"),
        ("a source is gone", "delete from bundle_file where path like 'lua/%'", r"of its \d+ files \d+ are missing"),
        ("a lock that nobody took", "insert into lock(target, fence, run) values('sh:file/x', 1, 1)",
         r"lock on sh:file/x: is there, and the log says nothing of it"),
        ("a state", "update effect set state = 8 where run = 1", r"effect [\d.]+ of run 1: state is 8, the log says \d"),
    ]
    for name, statement, said in cases:
        state = damaged(box, "rows", statement)
        yield name, expect(box.command("audit", "verify", "--state", state), 1, said, "NOT consistent")
    state = damaged(box, "rows", "update journal set payload = '{\"line\":1}' where run = 3 and seq = 1")
    yield "a changed run is not taken up", expect(box.command("resume", "3", "--state", state), 1, "row 1 is not as it was written")
    yield "replay --all names it and goes on", expect(box.command("replay", "--all", "--state", state), 1,
                                                     r"run 3: row 1 is not as it was written", "2 runs equal", "1 different")
    state = damaged(box, "rows", "update effect set state = 8", "delete from lock", "update run set outcome = 'no_action' where id = 1")
    yield "rebuild --check says what", expect(box.command("audit", "rebuild", "--check", "--state", state), 1, "outcome is 'no_action'", "NOT")
    yield "rebuild puts it right", expect(box.command("audit", "rebuild", "--state", state), 0, "were put right")
    yield "and then it is", expect(box.command("audit", "verify", "--state", state), 0, "^consistent")
    state = damaged(box, "rows", "delete from change where id = 2", "delete from lock")
    yield "nothing is rebuilt from a damaged log", expect(box.command("audit", "rebuild", "--state", state), 1, "nothing is rebuilt")


def anchors(box):
    """Rewritten with all its chains, a journal is consistent; against an anchor it is not unaltered."""
    said = box.command("audit", "anchor", "--state", "full", "--out", "anchors")
    yield "anchor", expect(said, 0, "anchored: [0-9a-f]{64}")
    yield "unaltered", expect(box.command("audit", "verify", "--against", "anchors", "--state", "full"), 0, r"unaltered since \d{4}-")
    state = damaged(box, "shorter", "delete from change where id = (select max(id) from change)")
    yield "a change that was there is gone", expect(box.command("audit", "verify", "--against", "anchors", "--state", state), 1,
                                                    "it was there when the anchor was made", "NOT unaltered")
    other = damaged(box, "elsewhere")
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (other / name).unlink(missing_ok=True)
    (box.path / "t.md").write_text(f"---\nrunbook: t\nsummary: a test\nuses: {box.uses}\n{MAY}---\n# T\n\n```lua\n{CODE}\n```\n")
    for _ in range(6):
        box.command("run", "t.md", "--state", other)
    yield "another journal is consistent", expect(box.command("audit", "verify", "--state", other), 0, "^consistent")
    yield "and not the anchored one", expect(box.command("audit", "verify", "--against", "anchors", "--state", other), 1, "NOT unaltered")
    line = json.loads((box.path / "anchors").read_text())
    (box.path / "forged").write_text(json.dumps({**line, "changes": None}, separators=(",", ":")))
    yield "a forged anchor", expect(box.command("audit", "verify", "--against", "forged", "--state", "full"), 2, "forged:1.*its own hash")
    (box.path / "none").write_text("no JSON\n")
    yield "no anchor", expect(box.command("audit", "verify", "--against", "none", "--state", "full"), 2, "none:1")
    yield "no file", expect(box.command("audit", "verify", "--against", "absent", "--state", "full"), 2, "absent")
    git = ["git", "-C", str(box.path / "repo"), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "init", "-q", str(box.path / "repo")], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    wrong = expect(box.command("audit", "anchor", "--state", "full", "--repo", "repo"), 0, "anchored")
    shown = subprocess.run([*git, "notes", "--ref=midwatch", "show"], capture_output=True, text=True, check=False).stdout
    (box.path / "note").write_text(shown)
    yield "a note in git", wrong or expect(box.command("audit", "verify", "--against", "note", "--state", "full"), 0, "unaltered")


def cut(box):
    """File and log cut at many lengths: an answer or a named refusal, never a crash, never a run that begins."""
    whole = (box.path / "full/journal.db").read_bytes()
    log = (box.path / "full/journal.db-wal").read_bytes() if (box.path / "full/journal.db-wal").exists() else b""
    wrong, n = [], 0
    for name, data in (("journal.db", whole), ("journal.db-wal", log)):
        step = max(512, len(data) // 20 // 512 * 512)
        for length in range(0, len(data), step):
            state = damaged_files(box, name, data[:length])
            n += 1
            for words, fine in ((("audit", "verify"), (0, 1, 2)), (("replay", "--all"), (0, 1, 2)), (("resume", "3"), (1, 2, 3, 5))):
                if words[0] == "resume" and n % 4:
                    continue
                code, out, err = box.command(*words, "--state", state)
                if code not in fine or "Sanitizer" in out + err or (code and not (out + err).strip()):
                    wrong.append(f"{name} cut at {length}: {' '.join(words)}: exit {code}: {(out + err)[-200:]}")
                if code == 0 and words[0] == "audit" and name == "journal.db" and length < len(whole) and not log:
                    wrong.append(f"{name} cut at {length} is called consistent")
    yield f"cut at {n} places", "; ".join(wrong[:3]) or None
    wrong = []
    for k in range(24):
        place = int(hashlib.sha256(b"%d" % k).hexdigest(), 16) % len(whole)
        state = damaged_files(box, "journal.db", whole[:place] + bytes([whole[place] ^ (1 << k % 8)]) + whole[place + 1:])
        code, out, err = box.command("audit", "verify", "--state", state)
        if code not in (0, 1) or "Sanitizer" in out + err:
            wrong.append(f"bit {k} at {place}: exit {code}: {(out + err)[-200:]}")
    yield "one bit anywhere in the file", "; ".join(wrong[:3]) or None


def damaged_files(box, name, data):
    state = box.path / "cut"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(box.path / "full", state)
    (state / "journal.db-shm").unlink(missing_ok=True)
    (state / name).write_bytes(data)
    return state


def others(box):
    """A newer version, another abi, another machine's instances, two at once."""
    state = damaged(box, "newer", "pragma user_version = 99")
    for words in (("audit", "verify"), ("resume", "3"), ("replay", "--all"), ("run", "t.md")):
        yield f"a newer format: {words[0]}", expect(box.command(*words, "--state", state), 1, "format 99, this program knows format")
    db = sqlite3.connect(f"file:{box.path}/full/journal.db?mode=ro", uri=True)
    (bundle, meta), = db.execute("select id, meta from bundle where id = (select bundle from run where id = 3)").fetchall()
    db.close()
    meta = meta.replace(b'"abi":', b'"abi":7')
    other = hashlib.sha256(meta).hexdigest()
    state = damaged(box, "abi", f"insert into bundle values('{other}', x'{meta.hex()}')",
                    f"update bundle_file set bundle = '{other}' where bundle = '{bundle}'", f"update run set bundle = '{other}' where id = 3")
    yield "another abi: resume", expect(box.command("resume", "3", "--state", state), 2, r"has abi 7\d+, this program runs abi")
    yield "another abi: replay --all", expect(box.command("replay", "--all", "--state", state), 2, "2 runs equal", "1 that this program cannot replay")
    state = damaged(box, "machine")
    (box.path / "midwatch.yaml").write_text(CONFIG.replace("echo, hello", "echo, elsewhere"))
    yield "another machine: what ended replays", expect(box.command("replay", "1", "--state", state), 0, "equal")
    yield "another machine: nothing goes on there", expect(box.command("resume", "3", "--state", state), 3, "settings of instance 'sh'")
    (box.path / "midwatch.yaml").write_text(CONFIG)
    state = damaged(box, "two")
    p = subprocess.Popen([box.program, "resume", "3", "--state", state], cwd=box.path, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(box.path)})
    wait_for(lambda: "RESUME" in box.command("report", "3", "-o", "json", "--state", state)[1])
    try:
        yield "two at once: a second owner", expect(box.command("audit", "rebuild", "--state", state), 2, r"in use by process \d+ ")
        yield "two at once: a second run", expect(box.command("run", "t.md", "--state", state), 2, r"in use by process \d+ ")
        yield "beside an owner: verify", expect(box.command("audit", "verify", "--state", state), 0, "consistent")
        yield "beside an owner: replay --all", expect(box.command("replay", "--all", "--state", state), 0, "3 runs equal")
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(patience(30))


def cases(program, scratch, only):
    box = Box(program, scratch / "audit", CONFIG, "{ shell: sh }")
    wrong = fill(box)
    yield "a journal to begin with", wrong
    for part in (sound, flips, rows, anchors, others, cut):
        if not wrong and only in ("", part.__name__):
            for name, why in part(box):
                yield f"audit: {name}", why


main(__doc__, cases)
