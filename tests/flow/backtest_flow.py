#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recorded runs against changed runbooks: every verdict, people's words, what was refused, what cannot be compared. That
nothing is contacted. And each of them as a scenario.

The runs of high-latency are recorded in virtual time on the stand-in cluster; those with people by the real program."""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "crash"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import crash  # noqa: E402
import people_flow  # noqa: E402
import stand  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOK = (ROOT / "runbooks" / "high-latency.md").read_text()
FAULTS = ("slow-model", "db", "none", "capacity", "cut")    # capacity meets the cooldown that slow-model left, and so does cut
# what is changed -> the verdicts of these runs in this order, the exit code, what is said
CHANGES = {
    "nothing": ((), "same same same same same", 0, "refused then: cooling_down"),
    "prose": ((("The API answers slowly.", "It is slow."),), "same same same same same", 0, None),
    "a threshold of a hypothesis": ((("o.infer > seconds(1)", "o.infer > seconds(9)"),), "different same same same different", 3,
                                    r'supported  after.*\n.*:51: test.*\n *now *cause: none, because "the new model is slower" is '
                                    r"refuted.*\n.*:51: .*seconds\(9\)"),
    "a threshold of the beginning": ((("o.p95 <= seconds(2)", "o.p95 <= seconds(100)"),),
                                     "different different same different different", 3, r"now *no_action \(runbook\).*\n.*:47: if "),
    "a threshold of the proof": ((("observe(p95) < ms(500)", "observe(p95) < ms(1)"),), "unknown unknown same same same", 5,
                                 r"prometheus.quantile.*the recorded run looked at it \S+ before\n *asked at .*:66: "),
    "it looks earlier": ((('within = "10m"', 'within = "10m", first_look = "1s", every = "1s"'),), "earlier earlier same same same",
                         3, r"earlier by \d+s\n *recorded *resolved \(verified\).*\n.*\n *now *resolved \(verified\)"),
    "it acts later": ((("local healthy", 'sleep "20s" local healthy'),), "later later same same same", 3,
                      r"later by 20s\n *recorded *kubernetes.rollback prod-eu:deployment/prod/api-service  after"),
    "another argument": ((("replicas:scale(3)", "replicas:scale(4)"),), "same different same same same", 3,
                         r"recorded *kubernetes.scale .* replicas=3.*\n.*\n *now *kubernetes.scale .* replicas=4"),
    "another effect": ((("api:rollback()", "api:scale(5)"),), "different same same same different", 3,
                       r"now *kubernetes.scale prod-eu:deployment/prod/api-service .*\n.*\n *what follows is no evidence"),
    "no effect": ((('remedy("add read replicas", replicas:scale(3), how)', 'escalate "call the database team"'),),
                  "same different same same same", 3, r"recorded *kubernetes.scale .*\n.*\n *now *escalated \(runbook\)"),
    "another ending": ((('resolve "p95', 'escalate "p95'),), "different different same same same", 3,
                       r"recorded *resolved \(verified\).*\n.*\n *now *escalated \(runbook\)"),
    "a read that nobody made": ((("o.db > ms(500)", 'observe(prometheus.value("up")) > 0'),),
                                "unknown unknown same unknown unknown", 5, r'prometheus.value\("up"\): the recorded run never looked at it'),
    "another window": ((('local p95      = prometheus.quantile(0.95, "http_request_duration_seconds", {',
                         'local p95      = prometheus.quantile(0.95, "http_request_duration_seconds", { window = "1m",'),), None, None, None),
    "a parameter more": ((("\nuses:", "\n  extra: { type: integer, default: 3 }\nuses:"),), "same same same same same", 0, None),
    "a parameter that it lacks": ((("\nuses:", "\n  extra: { type: integer }\nuses:"),), "skipped skipped skipped skipped skipped", 5,
                                  "does not take its parameters: .*extra"),
    "a parameter that it does not take": ((("default: api-service, match: \"[a-z0-9-]+\"", "default: \"7\", match: \"[0-9]+\""),), "skipped skipped skipped skipped skipped", 5,
                                          "does not take its parameters: .*service"),
}
PEOPLE = """---
runbook: p
summary: a test
uses: { shell: sh, http: web }
may: [{ effect: shell.touch, target: "file/*", at_most: 2 }]
limits: { cooldown: 0s }
---
# P
```lua
local depth = observe(http.depth {})
remedy("touch", shell.touch { file = "a" }, { verify = "applied", approve = { within = "10m" } })
local word = ask("go on?", { "on", "off" }, { within = "10m" })
if word == "off" then escalate "a person said off" end
resolve "done"
```
"""
CONFIG = """instances:
  sh: {{ plugin: shell }}
  web: {{ plugin: http, url: "{url}", requests: {{ depth: {{ path: /depth, read: {{ returns: integer, at: /n }} }} }} }}
commands:
  look: {{ argv: [test, -e, "{{{{file}}}}"], params: {{ file: {{ type: string, match: "[a-z0-9]+" }} }}, read: true }}
  touch: {{ argv: [touch, "{{{{file}}}}"], params: {{ file: {{ type: string, match: "[a-z0-9]+" }} }},
           effect: {{ class: ensure, target: "file/{{{{file}}}}", check: look, undo: not needed }} }}
"""


class Recorded:
    """A journal with a run of high-latency per fault."""

    def __init__(self, program, path):
        self.program, self.path, self.state, self.worlds, self.wrong = program, path, path / "state", [], None
        path.mkdir()
        for i, fault in enumerate(FAULTS):
            crash.FLOWS[fault] = (fault, "runbooks/high-latency.md")
            flow = crash.Flow(program.parent, fault, path)
            world = crash.World(flow.fresh)
            world.wall_ms += 1000 * i       # two runs of one moment would have one uuid
            result = flow.once(world, self.state, None, 0)[0]
            self.worlds.append((world, len(world.production.world.log)))
            if "error" in result:
                self.wrong = f"{fault}: {result['error']}"

    def backtest(self, text, *words):
        (self.path / "high-latency.md").write_text(text)
        p = subprocess.run([str(self.program), "backtest", *words, str(self.path / "high-latency.md"), "--state", str(self.state),
                            "--config", str(self.path / "midwatch.yaml")], text=True, capture_output=True, timeout=stand.patience(60), check=False,
                           cwd=self.path)
        return p.returncode, p.stdout, p.stderr


def changed(edits):
    text = BOOK
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def verdicts(out):
    """Oldest run first."""
    return [x["verdict"] for x in sorted(json.loads(out), key=lambda x: x["run"])]


def one_change(box, edits, expected, code, said):
    got = box.backtest(changed(edits), "-o", "json")
    if got[0] not in (0, 3, 5):
        return got[2]
    found = " ".join(verdicts(got[1]))
    if expected and (found != expected or got[0] != code):
        return f"exit {got[0]}, {found} instead of {expected}: {got[1][-1500:]}"
    if not expected and "same" in found.split()[0]:
        return f"another question was answered: {found}"
    return stand.expect(box.backtest(changed(edits)), code, said) if said else None


def high_latency(program, scratch):
    box = Recorded(program, scratch / "recorded")
    yield "runs are recorded", box.wrong
    for name, (edits, expected, code, said) in CHANGES.items():
        yield name, one_change(box, edits, expected, code, said)
    got = box.backtest(BOOK, "--last", "2", "-o", "markdown")
    yield "a table for a pull request", stand.expect(got, 0, r"\| run \| started \| verdict \|.*\n\|---.*\n\| 5 .*same.*\n\| 4 ",
                                                     r"2 runs: 2 same")
    text = changed((("api:rollback()", "api:scale(5)"),))
    yield "a difference in it", stand.expect(box.backtest(text, "1", "-o", "markdown"), 3,
                                             r"\*\*different\*\* \| recorded: kubernetes\.rollback prod-eu.*<br>now: kubernetes\.scale")
    yield "named runs", stand.expect(box.backtest(BOOK, "3", "1"), 0, r"^run 3 .*\nrun 1 ")
    yield "a run that there is not", stand.expect(box.backtest(BOOK, "77"), 2, "77")
    yield "both", stand.expect(box.backtest(BOOK, "1", "--last", "2"), 2, "either RUN or --last")
    yield "a number that is none", stand.expect(box.backtest(BOOK, "--last", "0"), 2, "--last wants a number")
    yield "code that is wrong", stand.expect(box.backtest(BOOK + "\n```lua\nlocal x = = 1\n```\n"), 2, r"high-latency\.md:\d+")
    untouched = all(len(world.production.world.log) == n for world, n in box.worlds)
    yield "the cluster was not asked", None if untouched else "it was"
    (box.path / "high-latency.md").write_text(BOOK)
    yield from scenarios_of(box, box.path / "high-latency.md", (1, 2, 3))
    yield from other_sources(box)


def scenarios_of(box, book, runs):
    """Each recorded run as a scenario beside the runbook passes."""
    config = ("--config", str(box.path / "midwatch.yaml"))
    for run in runs:
        got = subprocess.run([str(box.program), "test", "--record", str(run), "--state", str(box.state), *config], text=True,
                             capture_output=True, timeout=stand.patience(60), check=False)
        if got.returncode:
            yield f"run {run} as a scenario", got.stderr
            continue
        book.with_name(book.stem + ".test.yaml").write_text(got.stdout)
        p = subprocess.run([str(box.program), "test", str(book), *config], text=True, capture_output=True, timeout=stand.patience(60), check=False)
        yield f"run {run} as a scenario", None if p.returncode == 0 else p.stdout + p.stderr + got.stdout
    file = box.path / "out.yaml"
    for code in (0, 2):
        p = subprocess.run([str(box.program), "test", "--record", "1", "--out", str(file), "--state", str(box.state), *config],
                           text=True, capture_output=True, timeout=stand.patience(60), check=False)
        yield f"into a file, exit {code}", None if p.returncode == code and "scenarios:" in file.read_text() else p.stderr


def other_sources(box):
    repo = box.path / "repo"
    (repo / "runbooks").mkdir(parents=True)
    git = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (repo / "runbooks" / "high-latency.md").write_text(changed((("api:rollback()", "api:scale(5)"),)))
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    p = subprocess.run([str(box.program), "backtest", "1", "--at", "main", "--repo", str(repo), "--state", str(box.state), "--config",
                        str(box.path / "midwatch.yaml")], text=True, capture_output=True, timeout=stand.patience(60), check=False, cwd=box.path)
    yield "a commit of a repository", stand.expect((p.returncode, p.stdout, p.stderr), 3, "now *kubernetes.scale")
    old = box.path / "old"
    shutil.copytree(box.state, old)
    with sqlite3.connect(old / "journal.db") as db:
        db.execute("UPDATE bundle SET meta = CAST(replace(CAST(meta AS TEXT), '\"abi\":', '\"abi\":7') AS BLOB)")
    db.close()
    box.state, keep = old, box.state
    for words in (("replay", "1"), ("test", "--record", "1")):
        p = subprocess.run([str(box.program), *words, "--state", str(old), "--config", str(box.path / "midwatch.yaml")], text=True,
                           capture_output=True, timeout=stand.patience(60), check=False, cwd=box.path)
        yield f"a run of another abi: {' '.join(words)}", stand.expect((p.returncode, p.stdout, p.stderr), 2, r"the run has abi 7\d")
    yield "runs of another abi", stand.expect(box.backtest(BOOK), 5, r"skipped\n *the run has abi 7\d", "5 runs: 5 skipped")
    box.state = keep


class Terminal(people_flow.Terminal):
    """A run of p.md on a terminal of its own."""

    def __init__(self, box):
        os.environ["HOME"] = str(box.path)
        box.argv = lambda *words: [str(box.program), *words]
        super().__init__(box, "run", "p.md", "--state", str(box.state))


def people(program, scratch):
    server = stand.Server(lambda request: stand.answer_json({"n": 3}))
    box = stand.Box(program, scratch / "people", CONFIG.format(url=server.url), "")
    box.state = box.path / "s"
    (box.path / "p.md").write_text(PEOPLE)
    terminal = Terminal(box)
    yield "somebody is asked", terminal.expect(b"Type yes or no")
    yield "beside its owner", stand.expect(box.command("backtest", "1", "p.md", "--state", box.state), 5, "it has not ended")
    terminal.type(b"yes\n")
    yield "and asked", terminal.expect(b"Type on or off")
    terminal.type(b"on\n")
    yield "it is recorded", None if terminal.end() == 0 else terminal.seen.decode(errors="replace")
    asked, there = len(server.requests), (box.path / "a").stat().st_mtime_ns

    def backtest(old, new, code, *said):
        (box.path / "p.md").write_text(PEOPLE.replace(old, new))
        return stand.expect(box.command("backtest", "1", "p.md", "--state", box.state), code, *said)

    yield "the same words", backtest("", "", 0, "1 same")
    yield "the same words to another text", backtest('within = "10m" } })', 'within = "9m", text = "x" } })', 0, "1 same")
    yield "what a person said decides otherwise", backtest('word == "off"', 'word == "on"', 3, r"now *escalated \(runbook\)")
    yield "a question nobody was asked", backtest('"go on?"', '"go?"', 5, '"go\\?": nobody was asked this')
    yield "other choices", backtest('{ "on", "off" }', '{ "on", "off", "up" }', 5, "nobody was asked this")
    yield "more people", backtest('approve = {', 'approve = { of = 2,', 5, "nobody was asked this")
    yield "no question", backtest(', approve = { within = "10m" }', "", 0, "1 same")
    yield "another effect", backtest('file = "a"', 'file = "b"', 3, "now *shell.touch sh:file/b")
    yield "no server was asked", None if len(server.requests) == asked else "it was"
    yield "nothing was touched", None if (box.path / "a").stat().st_mtime_ns == there and not (box.path / "b").exists() else "it was"
    (box.path / "p.md").write_text(PEOPLE)
    yield from scenarios_of(box, box.path / "p.md", (1,))
    server.close()


STATES = {"waiting": 1, "ended": 4}     # enum run_state
# A journal with these runs, as (runbook, command, state) -> what is said instead of comparing none.
NONE = {
    "of another runbook": ([("other", "run", "ended"), ("web", "run", "ended")], r"no live run of t that has ended \(there are live runs of web, other\)"),
    "that is open": ([("t", "run", "waiting")], r"that has ended; the journal has 1 open \(end it first: midwatch resume 1, or cancel 1\)"),
    "of scenarios": ([("t", "test", "ended"), ("t", "test", "ended")], r"the journal has 2 of scenarios \(test\) \(a scenario is tried by midwatch test t;"),
    "that undo": ([("t", "undo", "ended")], r"the journal has 1 that undo one"),
    "at all": ([], r"no live run of t that has ended \(midwatch run t makes one; --state DIR"),
}


def no_runs(program, scratch):
    box = stand.Box(program, scratch / "none", "instances: {}\n", "[]")
    for name, (runs, pattern) in NONE.items():
        box.run('no_action "x"')
        for _ in range(len(runs) - 1):
            box.command("run", "t.md", "--state", box.state)
        with sqlite3.connect(box.state / "journal.db") as db:
            if not runs:
                db.execute("UPDATE run SET runbook = 'gone', command = 'undo'")
            for i, (runbook, command, state) in enumerate(runs):
                db.execute("UPDATE run SET runbook = ?, command = ?, state = ? WHERE id = ?", (runbook, command, STATES[state], i + 1))
        db.close()
        yield "no run but one " + name, stand.expect(box.command("backtest", "t.md", "--last", "3", "--state", box.state), 2, pattern)


def cases(program, scratch, only):
    for group in (high_latency, people, no_runs):
        if only in group.__name__:
            yield from group(program, scratch)


if __name__ == "__main__":
    stand.main(__doc__, cases)
