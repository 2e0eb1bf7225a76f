#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program as people use it: bad runbooks, bad parameters, a journal that cannot be written, signals, the halt,
effects that nobody knows the outcome of. Each case says its exit code and what the one error must name.

Prints `ok - name` or `not ok - name: why` per case."""
import hashlib
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import time

import stand

CONFIG = """\
instances: { sh: { plugin: shell }, typo: { plugin: shel } }
commands:
  hello: { argv: [echo, hello], read: true }
  number: { argv: [echo, "{{n}}"], params: { n: { type: integer } }, read: { returns: number } }
  slow: { argv: [sleep, "30"], read: true, timeout: 60s }
  look: { argv: [test, -e, "{{file}}"], params: { file: &file { type: string, match: "[a-z0-9]+" } }, read: true }
  touch: { argv: [touch, "{{file}}"], params: { file: { type: string, match: "[a-z0-9]+" } },
           effect: { class: ensure, target: "file/{{file}}", check: look, undo: not needed } }
  lost: { argv: [sh, -c, "touch $1; kill -9 $$", sh, "{{file}}"], params: { file: { type: string, match: "[a-z0-9]+" } },
          effect: { class: never_twice, target: "file/{{file}}", undo: not needed } }
  work: { argv: [sh, -c, "sleep 1; touch $1", sh, "{{file}}"], params: { file: { type: string, match: "[a-z0-9]+" } },
          effect: { class: ensure, target: "file/{{file}}", check: look, undo: not needed } }
""".replace("&file ", "")
FRONT = "---\nrunbook: t\nsummary: a test\nuses: { shell: sh }\n"
MAY = "may:\n" + "".join(f'  - {{ effect: shell.{verb}, target: "file/*", at_most: 3 }}\n' for verb in ("touch", "lost", "work"))


def book(code, front=FRONT):
    return f"{front}---\n# T\n\n```lua\n{code}\n```\n"


class Box:
    """A directory with a configuration, a runbook and a journal."""

    def __init__(self, program, path):
        self.program, self.path = program, path
        path.mkdir(parents=True)
        (path / "midwatch.yaml").write_text(CONFIG)

    def write(self, text, name="t.md"):
        (self.path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def argv(self, *words):
        return [str(self.program), *map(str, words)]

    def run(self, *words, **more):
        p = subprocess.run(self.argv(*words), cwd=self.path, text=True, capture_output=True, timeout=stand.patience(60), check=False,
                           env={**os.environ, "MIDWATCH_STATE": "", "HOME": str(self.path)}, **more)
        return p.returncode, p.stdout, p.stderr

    def start(self, *words, **more):
        return subprocess.Popen(self.argv(*words), cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "HOME": str(self.path)}, **more)

    def runs(self):
        code, out, _ = self.run("list", "-o", "json", "--state", "s")
        found = json.loads(out) if code == 0 else []
        return found["runs"] if isinstance(found, dict) else found

    def rows(self, run=1):
        return json.loads(self.run("report", run, "-o", "json", "--state", "s")[1])


def expect(got, code, *patterns):
    """What is wrong with (code, out, err), or None."""
    text = got[1] + got[2]
    if got[0] != code:
        return f"exit {got[0]} instead of {code}: {text[-600:]}"
    if "Sanitizer" in text:
        return text[-3000:]
    for pattern in patterns:
        if not re.search(pattern, text):
            return f"no /{pattern}/ in: {text[-600:]}"
    return None


# --- what a file may not be: name, bytes, what lint and run must say

BAD_FILES = {
    "unknown key": (book("resolve 'x'", FRONT + "sumary: x\n"), r"t\.md:\d+.*sumary.*did you mean 'summary'"),
    "duplicate key": (book("resolve 'x'", FRONT + "summary: again\n"), r"t\.md:5.*summary"),
    "wrong type": (book("resolve 'x'", "---\nrunbook: [t]\nsummary: x\n"), r"t\.md:2.*runbook"),
    "alias bomb": (book("resolve 'x'", FRONT + "x: &a [1]\ny: [*a, *a]\n"), r"t\.md:\d+.*(alias|anchor)"),
    "tab": (book("resolve 'x'", FRONT + "limits:\n\ttime: 5m\n"), r"t\.md:6"),
    "not UTF-8": (b"---\nrunbook: t\nsummary: \xff\n---\n```lua\nresolve 'x'\n```\n", r"t\.md.*UTF-8"),
    "no lua block": (FRONT + "---\n# T\n\nwords\n", r"t\.md.*lua"),
    "no front matter": ("# T\n\n```lua\nresolve 'x'\n```\n", r"t\.md.*front matter"),
    "front matter without end": ("---\nrunbook: t\nsummary: x\n```lua\nresolve 'x'\n```\n", r"t\.md"),
    "syntax error": (book("local a = \nresolve 'x'\nend"), r"t\.md:11"),
    "empty": ("", r"t\.md"),
    "NUL": (book("resolve 'x\0'"), r"t\.md"),
    "bytecode": (book("\x1bLua"), r"t\.md:9"),
    "unknown plugin": (book("resolve 'x'", FRONT.replace("shell: sh", "shell: typo")), r"t\.md:4.*midwatch\.yaml:\d+:\d+: instance 'typo': there is no plugin 'shel'.*did you mean 'shell'"),
    "no such instance": (book("resolve 'x'", FRONT.replace("shell: sh", "prometheus: prometheus")),
                         r"no instance 'prometheus' in .*instances: \{ prometheus: \{ plugin: prometheus \} \}; midwatch plugin describe prometheus"),
    "unknown instance": (book("resolve 'x'", FRONT.replace("shell: sh", "shell: shh")), r"t\.md:4.*shh.*did you mean 'sh'"),
}

# --- what a runbook may not do: name, code, exit code, what must be said

BAD_CODE = {
    "loops for ever": ("while true do end", 3, r"t\.md:9", r"error"),
    "allocates for ever": ("local t = {} while true do t[#t + 1] = { 'x' } end", 3, r"t\.md:9.*memory"),
    "one huge string": ("local s = string.rep('x', 1 << 40) resolve(s)", 3, r"t\.md:9"),
    "recurses for ever": ("local function f() return 1 + f() end f()", 3, r"t\.md:9.*(overflow|calls itself)"),
    "falls off its end": ("local x = 1", 3, r"fell_off_end"),
    "verb inside sort": ("table.sort({ 2, 1 }, function(a, b) return observe(shell.hello()) < 'x' end) resolve 'x'", 3,
                         r"t\.md:9"),
    "unknown verb of a plugin": ("resolve(observe(shell.helo()))", 3, r"t\.md:9.*helo.*hello"),
    "unknown word": ("resolv 'x'", 3, r"t\.md:9.*resolv.*did you mean 'resolve'"),
    "unknown observation": ("local o = observe { hello = shell.hello() } resolve(o.helo)", 3, r"helo.*did you mean 'hello'"),
    "unknown parameter": ("resolve(params.nope)", 3, r"t\.md:9.*nope"),
    "effect outside may": ("remedy('t', shell.touch { file = 'x' }, { verify = function() return false end })", 4, r"not_allowed"),
    "remedy without verify": ("remedy('t', shell.touch { file = 'x' })", 3, r"verify"),
    "error with a table": ("error({ 1 })", 3, r"t\.md"),
    "a title too long": ("remedy(string.rep('x', 1001), shell.touch { file = 'x' }, { verify = 'applied' })", 3,
                         r"t\.md:9: remedy wants a title first \(at most 1000 bytes\)"),
    "a name too long": ("observe { [string.rep('x', 61)] = shell.hello() } resolve 'x'", 3, r"t\.md:9: the name 'x+\.\.\.' has 61"),
    "a target too long": ("remedy('t', shell.touch { file = string.rep('x', 600) }, { verify = function() return false end })", 3,
                          r"the target 'sh:file/x+\.\.\.' has 608 bytes, at most 511"),
    "control bytes in a text": ("escalate 'a\\27[2Jb\\0c'", 3, r"escalated"),
}

PARAMS = FRONT + """params:
  name: { type: string }
  n: { type: integer, min: 1, max: 5, default: 2 }
  kind: { type: string, one_of: [a, b], default: a }
  d: { type: duration, default: 5m }
"""

# --- parameters: name, words, exit code, what must be said

BAD_PARAMS = {
    "missing": ([], 2, r"name.*(missing|required|wants)"),
    "unknown": (["-p", "name=x", "-p", "nam=y"], 2, r"nam.*did you mean 'name'"),
    "wrong type": (["-p", "name=x", "-p", "n=two"], 2, r"'n'.*integer"),
    "too large": (["-p", "name=x", "-p", "n=6"], 2, r"'n'.*5"),
    "not one of": (["-p", "name=x", "-p", "kind=c"], 2, r"kind.*a.*b"),
    "bad duration": (["-p", "name=x", "-p", "d=5 minutes ago"], 2, r"'d'.*duration"),
    "like a flag": (["-p", "name=--force"], 2, r"name"),
    "like a glob": (["-p", "name=*"], 2, r"name"),
    "like PromQL": (["-p", 'name=x"} or vector(1)'], 2, r"name"),
    "control byte": (["-p", "name=a\nb"], 2, r"name"),
    "no equals sign": (["-p", "name"], 2, r"name=value"),
    "twice": (["-p", "name=x", "-p", "name=y"], 2, r"name"),
    "good": (["-p", "name=x"], 0, r"outcome: resolved"),
}


def files_cases(box):
    for name, (text, pattern) in BAD_FILES.items():
        file = box.write(text)
        for verb in ("lint", "run"):
            words = [verb, file] + (["--state", "s"] if verb == "run" else [])
            yield f"{verb}: {name}", expect(box.run(*words), 2, pattern)
    yield "no run was made of them", None if not box.runs() else f"{box.runs()}"
    for name, text in {"CRLF": book("resolve 'x'").replace("\n", "\r\n"), "BOM": "\ufeff" + book("resolve 'x'")}.items():
        yield f"run: {name} is fine or named", good_or_named(box.run("run", box.write(text), "--state", "s"))


def good_or_named(got):
    return expect(got, 0, r"outcome: resolved") and expect(got, 2, r"t\.md.*(CR LF|byte order mark)")


def code_cases(box):
    for name, (code, exit_code, *patterns) in BAD_CODE.items():
        yield "run: " + name, expect(box.run("run", box.write(book(code)), "--state", "s"), exit_code, *patterns)
    yield "nothing was sent", None if not any(r["kind"] == "INTENT" for i in range(len(box.runs()))
                                              for r in box.rows(i + 1)["rows"]) else "an INTENT"


def params_cases(box):
    file = box.write(book("resolve(params.name)", PARAMS))
    for name, (words, code, pattern) in BAD_PARAMS.items():
        yield "parameter: " + name, expect(box.run("run", file, "--state", "s", *words), code, pattern)


def usage_cases(box):
    for words, pattern in ((["rnu", "x"], "did you mean 'run'"), (["run"], "usage: midwatch run"), (["list", "x"], "too much"),
                           (["run", "x", "--sate", "d"], "did you mean '--state'"), (["show", "9", "--state", "s"], "no journal|run 9"),
                           (["list", "-o", "xml"], "text or json"), (["run", "nowhere.md"], "nowhere")):
        yield "usage: " + " ".join(words), expect(box.run(*words), 2, pattern)
    box.write("instances: { sh: { plugin: shell, comand: {} } }\n", "bad.yaml")
    file = box.write(book("resolve 'x'"))
    yield "configuration: unknown key", expect(box.run("run", file, "--config", "bad.yaml", "--state", "s"), 2,
                                               r"bad\.yaml:1.*comand.*commands")
    yield "configuration: missing file", expect(box.run("run", file, "--config", "no.yaml", "--state", "s"), 2, r"no\.yaml")


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))


def journal_cases(box):
    file = box.write(book("for i = 1, 200 do observe(shell.hello()) end resolve 'x'"))
    state = box.path / "foreign"
    state.mkdir()
    with sqlite3.connect(state / "journal.db") as db:
        db.execute("create table t(x)")
    yield "journal of somebody else", expect(box.run("run", file, "--state", state), 1, r"not a Midwatch journal")
    (box.path / "text").mkdir()
    (box.path / "text" / "journal.db").write_text("not a database, but long enough to have a header of one\n" * 20)
    yield "journal that is no database", expect(box.run("run", file, "--state", box.path / "text"), 1, r"not a Midwatch journal")
    got = box.run("run", file, "--state", "/proc/nowhere")
    yield "journal where nothing can be made", expect(got, 1, r"/proc/nowhere")
    yield from read_only_cases(box, file)
    got = box.run("run", file, "--state", "full", preexec_fn=small_files)
    yield "disk full", expect(got, 1, r"journal")
    yield "after the disk was full", expect(box.run("run", file, "--state", "full"), 0, r"outcome: resolved")
    holder = box.start("run", box.write(book("observe(shell.slow()) resolve 'x'", FRONT.replace(" t\n", " slow\n", 1)), "slow.md"), "--state", "s")
    stand.wait_for(lambda: (box.path / "s/journal.db").exists() and box.runs())
    yield "journal in use", expect(box.run("run", file, "--state", "s"), 2, rf"process {holder.pid} .*run slow\.md", r"midwatch watch shows")
    yield "reading beside the owner", expect(box.run("list", "--state", "s"), 0, r"1  slow +running +-")
    holder.kill()
    holder.communicate(timeout=stand.patience(20))
    yield "killed, it is called interrupted", expect(box.run("list", "--state", "s"), 0, r"1  slow +interrupted +-", r"slow is interrupted; midwatch resume 1")


# Root may write everywhere; without these it may not.
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def read_only_cases(box, file):
    """A journal that can be read and not written: what only reads works, what writes says so and changes nothing."""
    def run(*words):
        p = subprocess.run([*NO_OVERRIDE, *box.argv(*words), "--state", "fixed"], cwd=box.path, text=True, capture_output=True,
                           timeout=stand.patience(60), check=False, env={**os.environ, "HOME": str(box.path)})
        return p.returncode, p.stdout, p.stderr

    box.run("run", box.write(book("resolve 'x'")), "--state", "fixed")
    state = box.path / "fixed"
    for path, mode in [(path, 0o400) for path in state.glob("journal.db*")] + [(state, 0o500)]:
        path.chmod(mode)
    before = (state / "journal.db-wal").read_bytes()
    for words, code, pattern in ((["run", file], 1, r"fixed/journal\.db: the file is read-only .*--state"),
                                 (["resume", 1], 1, "read-only"), (["halt", "why"], 2, r"fixed/halt"),
                                 (["list"], 0, "resolved"), (["show", 1], 0, "resolved"), (["replay", 1], 0, "equal"),
                                 (["doctor"], 2, r"fail +state +fixed cannot be written")):
        yield f"read-only journal: {words[0]}", expect(run(*words), code, pattern)
    yield "read-only journal: unchanged", None if (state / "journal.db-wal").read_bytes() == before else "it changed"
    state.chmod(0o700)
    for path in state.glob("journal.db*"):
        path.chmod(0o600)


def signal_cases(box):
    waits = box.write(book("wait_until('never', { every = '1s', within = '1h' }, function() return false end) resolve 'x'"))
    for number, signo in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 1):
        p = box.start("run", waits, "--state", "s", stdin=subprocess.DEVNULL)
        stand.wait_for(lambda n=number: len(box.runs()) == n)
        time.sleep(0.3)
        p.send_signal(signo)
        out, err = p.communicate(timeout=stand.patience(20))
        yield f"{signo.name} leaves the run", expect((p.returncode, out, err), 5, rf"midwatch resume {number}") or \
            (None if box.runs()[0]["state"] == "left" else f"{box.runs()[0]}")
    target = box.path / "worked"
    works = box.write(book(f"remedy('work', shell.work {{ file = '{target.name}' }}, {{ verify = 'applied' }}) resolve 'done'",
                           FRONT.replace(" t\n", " works\n", 1) + MAY + "limits: { cooldown: 0s }\n"), "works.md")
    p = box.start("run", works, "--state", "s", stdin=subprocess.DEVNULL)
    stand.wait_for(lambda: len(box.runs()) == 4 and any(r["kind"] == "INTENT" for r in box.rows(4)["rows"]))
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=stand.patience(20))
    yield "SIGTERM waits for an effect that is on its way", expect((p.returncode, out, err), 5, "leaving") or \
        (None if target.exists() else "the effect was cut off")
    got = box.run("resume", 4, "--state", "s")
    yield "and resume goes on after it", expect(got, 0, "outcome: resolved") or \
        (None if sum(r["kind"] == "INTENT" for r in box.rows(4)["rows"]) == 1 else "it was sent twice")
    yield from terminal_cases(box, waits)


def terminal_cases(box, waits):
    for answer, goes_on in (("k\n", True), ("l\n", False), (None, False)):
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(box.path)
            os.environ["TERM"] = "xterm"
            os.execv(box.program, box.argv("run", waits, "--state", "s"))
        screen = read_until(fd, b"waiting")
        if answer is None:
            os.close(fd)
            _, status = os.waitpid(pid, 0)
            yield "a closed terminal leaves the run", None if box.runs()[0]["state"] == "left" else f"{status} {box.runs()[0]}"
            continue
        os.write(fd, b"\x03")
        screen += read_until(fd, b"[L/k/c]")
        os.write(fd, answer.encode())
        screen += read_until(fd, b"going on" if goes_on else b"midwatch resume")
        if goes_on:
            yield "Ctrl-C, keep going", None if b"going on" in screen and box.runs()[0]["state"] != "left" else f"{screen}"
            os.kill(pid, signal.SIGTERM)
        else:
            yield "Ctrl-C, leave", None if b"midwatch resume" in screen else f"{screen}"
        read_until(fd, None)
        os.waitpid(pid, 0)
        os.close(fd)


def read_until(fd, what, within=10):
    """Reads the terminal until it shows `what` (None: until it closes)."""
    seen, end = b"", time.monotonic() + stand.patience(within)
    os.set_blocking(fd, False)
    while time.monotonic() < end and (what is None or what not in seen):
        try:
            data = os.read(fd, 4096)
            if not data:
                break
            seen += data
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
    return seen


def halt_cases(box):
    target = box.path / "touched"
    touches = box.write(book(f"remedy('touch', shell.touch {{ file = '{target.name}' }}, {{ verify = 'applied' }}) resolve 'done'",
                             FRONT + MAY + "limits: { cooldown: 0s }\n"))
    yield "halt", expect(box.run("halt", "deploy freeze", "--state", "s"), 0)
    yield "a halt refuses every effect", expect(box.run("run", touches, "--state", "s"), 4, r"halted") or \
        (None if not target.exists() else "the effect was sent")
    yield "list names the halt", expect(box.run("list", "--state", "s"), 0, r"halt", r"deploy freeze")
    yield "halt --release", expect(box.run("halt", "--release", "--state", "s"), 0)
    yield "after the release", expect(box.run("run", touches, "--state", "s"), 0, r"outcome: resolved") or \
        (None if target.exists() else "nothing was sent")
    no_room = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))}
    yield "halt on a full disk", expect(box.run("halt", "no room", "--state", "s", **no_room), 0, r"the file halts all the same") or \
        expect(box.run("policy", "explain", touches, "--state", "s"), 4, r"refuses +halted")
    yield "what cannot be recorded is not released", expect(box.run("halt", "--release", "--state", "s", **no_room), 1, r"still halted") or \
        expect(box.run("policy", "explain", touches, "--state", "s"), 4, r"refuses +halted")
    yield "and when there is room again it is", expect(box.run("halt", "--release", "--state", "s"), 0) or \
        expect(box.run("policy", "explain", touches, "--state", "s"), 0, r"passes +halted")
    target.unlink()
    no_log = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768))}
    long = box.write((box.path / touches).read_text() + "\n" + "prose\n" * 8000)       # more than the log may have
    yield "a run that could not be written is none to resume", expect(
        box.run("run", long, "--state", "s", **no_log), 1, r"write: disk I/O error: File too large", r"nothing of this run was written, and nothing was sent") or \
        (None if not target.exists() else "it was sent")
    yield from halt_beside_owner_cases(box, target)


def halt_beside_owner_cases(box, target):
    """Whoever owns the journal writes it down, the halt and the release."""
    waits = box.write(book(f"note 'begun' sleep '2s' remedy('touch', shell.touch {{ file = '{target.name}' }}, {{ verify = 'applied' }}) "
                           "resolve 'done'", FRONT.replace("runbook: t", "runbook: waits") + MAY + "limits: { cooldown: 0s }\n"), "waits.md")
    for name, before, then, code in (("a release", "before", "--release", 0), ("a halt", "--release", "now", 4)):
        target.unlink(missing_ok=True)
        box.run("halt", before, "--state", "s")
        p = box.start("run", waits, "--state", "s")
        stand.wait_for(lambda: any(r["state"] != "ended" for r in box.runs()))
        said = box.run("halt", then, "--state", "s")
        (box.path / "s" / "halt").unlink(missing_ok=True)       # the row is left
        out, err = p.communicate(timeout=stand.patience(30))
        yield f"{name} beside the owner of the journal", expect(said, 0) or expect((p.returncode, out, err), code) or \
            (None if target.exists() == (code == 0) else f"it was {'not ' if code == 0 else ''}sent")
    box.run("halt", "--release", "--state", "s")


PARTLY = """
return plugin "partly" { effects = { set = { args = { "n" }, params = { n = "integer" }, class = "ensure", target = "it", timeout = 1,
  state = function() return { n = tonumber(exec { argv = { "cat", instance.dir .. "/n" } }.out) } end,
  want = function(a) return { n = a.n } end,
  apply = function(a)
    exec { argv = { "sh", "-c", "echo $1 >$2", "sh", tostring(a.n), instance.dir .. "/n" } }
    exec { argv = { "/nowhere/to-be-found" } }
  end } } }
"""


def partly_cases(box):
    """A body whose second step cannot even begin has made its first one: that is read back, not said not to have happened."""
    (box.path / "plugins").mkdir()
    (box.path / "plugins/partly.lua").write_text(PARTLY)
    (box.path / "n").write_text("1\n")
    (box.path / "midwatch.yaml").write_text("plugins: plugins\ninstances: { it: { plugin: partly } }\n")
    run = box.write(book("remedy('set', partly.set(5), { verify = 'applied' }) resolve 'done'",
                         "---\nrunbook: t\nuses: { partly: it }\nmay: [{ effect: partly.set, target: it }]\nlimits: { cooldown: 0s }\n"))
    yield "half of a change is read back", expect(box.run("run", run, "--state", "s"), 0, r"UNKNOWN: run /nowhere", r"applied \(read back\)")


def unknown_cases(box):
    for verdict, code, pattern in (("applied", 0, r"outcome: resolved"), ("absent", 3, r"outcome: escalated"),
                                   ("release", 3, r"escalated")):
        target = box.path / f"lost{verdict}"
        lost = box.write(book(f"remedy('lose', shell.lost {{ file = '{target.name}' }}, {{ verify = 'applied' }}) resolve 'done'",
                              FRONT + MAY + "limits: { cooldown: 0s }\n"))
        got = box.run("run", lost, "--state", "s")
        number = max(r["id"] for r in box.runs())
        yield f"unknown, then {verdict}: the run is parked", expect(got, 6, r"UNKNOWN", rf"midwatch settle {number} applied")
        got = box.run("resume", number, "--state", "s")
        yield f"unknown, then {verdict}: resume does not guess", expect(got, 6, r"settle")
        other = box.run("run", lost, "--state", "s")
        yield f"unknown, then {verdict}: its target stays locked", expect(other, 4, r"target_busy")
        box.run("settle", number, verdict, "--state", "s")
        if verdict != "release":
            got = box.run("resume", number, "--state", "s")
            yield f"unknown, then {verdict}: goes on", expect(got, code, pattern)
        run = [r for r in box.runs() if r["id"] == number][0]
        yield f"unknown, then {verdict}: the end", None if run["state"] == "ended" else f"{run}"


ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = re.findall(r"^    ROW_(?!KINDS)(\w+)", (ROOT / "runner/journal/journal.h").read_text(), re.M)


def chain_of(previous, row):
    """journal_chain of the program."""
    def digest(data):
        return hashlib.sha256(data).digest()
    parts = [previous, KINDS[row["kind"]].encode(), row["path"].encode(), row["name"].encode(), row["args_hash"],
             struct.pack("<qqq", row["at"], row["seq"], row["epoch"]),
             digest(row["args"].encode()) if row["args"] else bytes(32), digest(row["payload"].encode())]
    return digest(b"".join(struct.pack("<Q", len(part)) + part for part in parts))


def forge(journal, seq, change, chained):
    """Changes a row of run 1, as an update's `column = value`; chained: gives all rows the chain that fits."""
    with sqlite3.connect(journal) as db:
        db.row_factory = sqlite3.Row
        db.execute("drop trigger journal_no_update")
        db.execute(f"update journal set {change} where run = 1 and seq = ?", (seq,))
        chain = bytes(32)
        for row in db.execute("select * from journal where run = 1 order by seq").fetchall() if chained else []:
            chain = chain_of(chain, row)
            db.execute("update journal set chain = ? where id = ?", (chain, row["id"]))
        if chained:
            db.execute("update run set chain = ? where id = 1", (chain,))
    db.close()


def forged_cases(box):
    code = "remedy('t', shell.touch { file = 'x' }, { verify = 'applied', within = '2s' }) note 'n' resolve 'x'"
    box.run("run", box.write(book(code, FRONT + MAY)), "--state", "s")
    rows = box.rows()["rows"]
    for kind, change, chained, pattern in (
            ("START", "payload = payload", True, r"rows, equal"),
            ("PLAN", "payload = replace(payload, 'x', 'y')", False, "row 2 is not as it was written"),
            ("INTENT", "args = replace(args, 'x', 'y')", False, "row 3 is not as it was written"),
            ("INTENT", "args = replace(args, 'x', 'y')", True, "the journal intends"),
            ("NOTE", "args_hash = randomblob(32)", True, r"the code asks in line \d+ for"), ("NOTE", "kind = 1", True, "is OBS"),
            ("NOTE", "path = '99'", True, "at 99"), ("VERIFY", "name = 'other'", True, r"the code asks in line \d+ for t"),
            ("END", "name = 'no_action'", True, "is no_action"),
            ("END", "args = replace(args, 'verified', 'recovered')", True, "recovered")):
        seq = next(i for i, row in enumerate(rows, 1) if row["kind"] == kind)
        shutil.copytree(box.path / "s", box.path / "forged")
        forge(box.path / "forged/journal.db", seq, change, chained)
        code = 0 if change == "payload = payload" else 1
        name = f"a changed {kind} ({change.split()[0]}{', with a new chain' if chained else ''})"
        yield f"replay and {name}", expect(box.run("replay", 1, "--state", "forged"), code, pattern)
        shutil.rmtree(box.path / "forged")
    lost = "remedy('t', shell.lost { file = 'y' }, { verify = 'applied' }) resolve 'x'"
    box.run("run", box.write(book(lost, FRONT + MAY)), "--state", "forged")
    forge(box.path / "forged/journal.db", 3, "args = replace(args, 'y', 'z')", False)
    yield "nobody resumes a changed journal", expect(box.run("resume", 1, "--state", "forged"), 1, "row 3 is not as it was written")
    shutil.rmtree(box.path / "forged")


def replay_all(box, group):
    """Every run in every journal of the group gives its rows again."""
    wrong, runs = [], 0
    for journal in sorted(box.path.rglob("journal.db")):
        code, out, _ = box.run("list", "-o", "json", "--state", journal.parent)
        for run in json.loads(out) if code == 0 else []:
            runs += 1
            got = box.run("replay", run["id"], "--state", journal.parent)
            why = expect(got, 0, r"rows, equal")
            wrong += [f"{journal.parent.name} {run['id']}: {why}"] if why else []
    if runs:
        yield f"{group}: every one of {runs} runs replays", "; ".join(wrong) or None


def bound_cases(box):
    """at_most: 3 of MAY counts the targets of a run, over its remedies and within a set."""
    touch = "remedy('t%d', shell.touch { file = '%s' }, { verify = 'applied' })\n"
    limits = "limits: { targets: 9, remedies: 9, cooldown: 0s }\n"
    one_by_one = "".join(touch % (i, name) for i, name in enumerate(("a", "b", "c", "d"))) + "resolve 'x'"
    yield "at_most over remedies", expect(box.run("run", box.write(book(one_by_one, FRONT + MAY + limits)), "--state", "s"), 4,
                                          "not_allowed.*may permits 3 targets") or \
        (None if [(box.path / n).exists() for n in "abcd"] == [True] * 3 + [False] else "another number of files")
    as_set = "remedy('t', { " + ", ".join(f"shell.touch {{ file = 'e{n}' }}" for n in range(4)) + " }, { verify = 'applied' })"
    yield "at_most in a set, before anything is sent", expect(box.run("run", box.write(book(as_set, FRONT + MAY + limits)),
                                                                      "--state", "s"), 4, "may permits 3 targets") or \
        (None if not list(box.path.glob("e?")) else "something was sent")


GROUPS = {"files": files_cases, "code": code_cases, "params": params_cases, "usage": usage_cases, "journal": journal_cases,
          "signals": signal_cases, "halt": halt_cases, "partly": partly_cases, "unknown": unknown_cases, "forged": forged_cases,
          "bounds": bound_cases}


def of_groups(groups, make, program, scratch, only):
    for group, of in groups.items():
        if only in group:
            box = make(program, scratch / group)
            yield from of(box)
            yield from replay_all(box, group)


def cases(program, scratch, only):
    return of_groups(GROUPS, Box, program, scratch, only)


if __name__ == "__main__":
    stand.main(__doc__, cases)
