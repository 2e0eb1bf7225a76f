#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""People at a real terminal and people elsewhere: approvals, questions, nobody, and a run that was left while it
asked. Prints `ok - name` or `not ok - name: why` per case."""
import grp
import os
import pathlib
import pty
import pwd
import signal
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import stand  # noqa: E402
from cli_flow import FRONT, MAY, Box, book, expect, read_until  # noqa: E402

LIMITS = "limits: { cooldown: 0s }\n"


class Terminal:
    """A run on a terminal of its own."""

    def __init__(self, box, *words, piped=False):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(box.path)
            os.environ["NO_COLOR"] = "1"
            if piped:
                os.execvp("bash", ["bash", "-c", 'set -o pipefail; "$@" | cat', "sh", *box.argv(*words)])
            os.execv(str(box.program), box.argv(*words))

    def expect(self, what, within=10):
        self.seen += read_until(self.fd, what, within)
        return None if what in self.seen else f"no {what!r} in: {self.seen.decode(errors='replace')[-800:]}"

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        """The exit code."""
        self.seen += read_until(self.fd, None, 10)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def touching(box, target, approve):
    return box.write(book(f"remedy('touch', shell.touch {{ file = '{target}' }}, {{ verify = 'applied', approve = {approve} }})"
                          " resolve 'done'", FRONT + MAY + LIMITS))


def outcome(t, code, *words):
    got = t.end()
    text = t.seen.decode(errors="replace")
    missing = [w for w in words if w not in text]
    return None if got == code and not missing else f"exit {got}, missing {missing}: {text[-900:]}"


def not_taken(t, word, asked):
    t.seen = b""
    t.type(word.encode() + b"\n")
    return t.expect(asked) or (None if b"that is none of the choices" in t.seen else t.seen.decode(errors="replace"))


def terminal_cases(box):
    run = touching(box, "a", "true")
    t = Terminal(box, "run", run, "--state", "s")
    yield "an approval is asked for on the terminal", t.expect(b"Type yes or no: ")
    yield "with what it would do", None if b'APPROVAL: touch' in t.seen and b'shell.touch { file' not in t.seen else t.seen.decode()
    for word in ("maybe", "y", "YES", "ye", "yes!"):
        yield f"{word} is no choice", not_taken(t, word, b"Type yes or no: ")
    yield "nothing was sent so far", None if not (box.path / "a").exists() else "sent before the yes"
    t.type(b"yes\n")
    yield "yes", outcome(t, 0, "outcome: resolved")
    yield "and it was sent", None if (box.path / "a").exists() else "nothing was sent"
    run = touching(box, "b", "true")
    t = Terminal(box, "run", run, "--state", "s")
    t.expect(b"Type yes or no: ")
    t.type(b"no\n")
    yield "no", outcome(t, 4, "denied", "outcome: escalated")
    once = "remedy('touch', shell.touch {{ file = '{}' }}, {{ verify = 'applied', approve = {{ once = 'both' }} }})"
    run = box.write(book(once.format("c") + "\n" + once.format("d") + " resolve 'done'", FRONT + MAY + LIMITS))
    t = Terminal(box, "run", run, "--state", "s")
    yield "one yes for several says so", t.expect(b'One yes is for all that this run asks as "both": also for later changes')
    t.expect(b"Type yes or no: ")
    t.type(b"yes\n")
    yield "and is asked once", outcome(t, 0, "outcome: resolved") or (
        None if (box.path / "d").exists() and t.seen.count(b"APPROVAL: touch") == 1 else t.seen.decode())
    run = box.write(book("resolve(ask('which way?', { 'left', 'right' }))"))
    t = Terminal(box, "run", run, "--state", "s")
    t.expect(b"Type left or right: ")
    yield "the beginning of a choice is none", not_taken(t, "lef", b"Type left or right: ")
    asked = r'none of the choices; the choices are "left", "right" \(midwatch answer 4 CHOICE\)'
    yield "approve of a question says what can be said, and how", expect(box.run("approve", 4, "--state", "s"), 2, asked)
    t.type(b"right\n")
    yield "a question", outcome(t, 0, "right")


def elsewhere_cases(box):
    run = touching(box, "a", "true")
    t = Terminal(box, "run", run, "--state", "s")
    t.expect(b"Type yes or no: ")
    yield "list says what to type", expect(box.run("list", "--state", "s"), 0, r"midwatch approve\|deny\|answer 1")
    yield "approved by a command", expect(box.run("approve", 1, "--state", "s"), 0, r"said yes")
    yield "and it goes on", outcome(t, 0, "outcome: resolved")
    run = touching(box, "b", "{ of = 2 }")
    silent = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    t = Terminal(box, "run", run, "--state", "s")
    yield "two must agree", t.expect(b"midwatch approve 2")
    for client in silent:
        client.connect(str(box.path / "s/owner.sock"))
        client.settimeout(stand.patience(20))
    silent[-1].send(b'{"verb"')
    yield "silent clients keep nobody out", expect(box.run("approve", 2, "--state", "s"), 2, r"somebody else")
    begun = time.monotonic()
    yield "and are hung up on", None if all(c.recv(1) == b"" for c in silent) and time.monotonic() - begun > 1 else "at once"
    yield "who started it does not count", expect(box.run("approve", 2, "--state", "s"), 2, r"somebody else")
    yield "a run that asks nothing", expect(box.run("approve", 1, "--state", "s"), 2, r"run 1")
    if os.getuid() == 0:
        os.chmod(box.path / "s", 0o711)
        by = [subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", *box.argv("approve", "2", "--state", "s")],
                             cwd=box.path, text=True, capture_output=True, check=False, timeout=stand.patience(30)) for uid in (1, 1, 2)]
        yield "the first of two", None if by[0].returncode == 0 else by[0].stdout + by[0].stderr
        yield "the same person counts once", None if "counts once" in by[1].stderr else by[1].stdout + by[1].stderr
        yield "the second of two", outcome(t, 0, "outcome: resolved")
    else:
        box.run("deny", 2, "--state", "s")
        t.end()
    if os.getuid() == 0:
        yield from named_cases(box)


def named_cases(box):
    """Who is named in approve.by, and who only looks so."""
    groups = {g.gr_gid: g.gr_name for g in grp.getgrall()}
    user = next(u for u in pwd.getpwall() if u.pw_uid and groups.get(u.pw_gid, u.pw_name) != u.pw_name)
    name, host, group = user.pw_name, socket.gethostname(), groups[user.pw_gid]
    for number, (by, counts) in enumerate(((f"{name}@{host}", True), (group, True), (f"{name}@elsewhere", False),
                                           (name, False), (name[:-1], False), (f"@{host}", False)), 3):
        t = Terminal(box, "run", touching(box, f"n{number}", f'{{ by = "{by}" }}'), "--state", "s")
        wrong = t.expect(f"midwatch approve {number}".encode())
        p = subprocess.run(["setpriv", f"--reuid={user.pw_uid}", "--clear-groups", *box.argv("approve", str(number), "--state", "s")],
                           cwd=box.path, text=True, capture_output=True, check=False, timeout=stand.patience(30))
        yield f"approve.by: {'' if counts else 'not '}{by.replace(host, 'HOST')}", wrong or (
            None if (p.returncode == 0) == counts and (counts or "named in approve.by" in p.stderr) else p.stdout + p.stderr)
        if not counts:
            box.run("cancel", number, "--state", "s")
        t.end()


def as_user(box, uid, *words):
    p = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", *box.argv(*words)], cwd=box.path, text=True,
                       capture_output=True, check=False, timeout=stand.patience(30))
    return p.returncode, p.stdout, p.stderr


def operator_cases(box):
    config = (box.path / "midwatch.yaml").read_text()
    (box.path / "midwatch.yaml").write_text(config + "approvals: { not_self: true }\n")
    t = Terminal(box, "run", touching(box, "a", "true"), "--state", "s")
    yield "the operator says that whoever started a run may not approve it", t.expect(b"Somebody else must answer")
    yield "not from elsewhere either", expect(box.run("approve", 1, "--state", "s"), 2, r"somebody else")
    os.kill(t.pid, signal.SIGTERM)
    t.end()
    yield "nor once the run is left", expect(box.run("approve", 1, "--state", "s"), 2, r"somebody else")
    (box.path / "midwatch.yaml").write_text(config)
    yield "whatever the configuration says by then", expect(box.run("approve", 1, "--state", "s"), 2, r"somebody else")
    box.run("deny", 1, "--state", "s")
    (box.path / "midwatch.yaml").write_text(config + "approvals: { of: 2, by: [bin, sys, daemon] }\n")
    t = Terminal(box, "run", touching(box, "b", "true"), "--state", "s")
    yield "two of three", t.expect(b"Somebody else must answer")
    if os.getuid() == 0:
        os.chmod(box.path / "s", 0o711)
        yield "one who is not named", expect(as_user(box, 4, "approve", "2", "--state", "s"), 2, r"one of those named")
        yield "the first", expect(as_user(box, 1, "approve", "2", "--state", "s"), 0, r"said yes")
        yield "not sent yet", None if not (box.path / "b").exists() else "sent"
        yield "the second", expect(as_user(box, 2, "approve", "2", "--state", "s"), 0, r"said yes")
        yield "and it is sent", outcome(t, 0, "outcome: resolved")
        yield "its approval is used up", expect(box.run("replay", 2, "--state", "s"), 0, r"equal") or used_up(box)
    else:
        os.kill(t.pid, signal.SIGKILL)
        t.end()


def drift_cases(box):
    (box.path / "midwatch.yaml").write_text((box.path / "midwatch.yaml").read_text() + """\
  level: { argv: [cat, level], read: { returns: integer } }
  set_level: { argv: [sh, -c, "echo $1 > level", sh, "{{n}}"], params: { n: { type: integer } },
               effect: { class: ensure, target: level, state: level, sets: n } }
""")
    (box.path / "level").write_text("3")
    run = box.write(book("remedy('raise', shell.set_level { n = 8 }, { verify = 'applied', approve = true }) resolve 'done'",
                         FRONT + "may: [ { effect: shell.set_level, target: level } ]\n" + LIMITS))
    t = Terminal(box, "run", run, "--state", "s")
    yield "what would change", t.expect(b"3 -> 8") or t.expect(b"Type yes or no: ")
    (box.path / "level").write_text("5")
    t.type(b"yes\n")
    yield "drift voids the yes and asks again, with a diff", t.expect(b"5 -> 8   (asked before: 3 -> 8)")
    yield "nothing was sent", None if (box.path / "level").read_text() == "5" else "it was sent"
    t.expect(b"): ")
    t.expect(b"Type yes or no: ")
    t.type(b"yes\n")
    yield "what is approved as it is, is sent", outcome(t, 0, "outcome: resolved")
    yield "and it replays", expect(box.run("replay", 1, "--state", "s"), 0, r"equal")


AGAIN = """scenarios:
  - name: it is not so any more when the yes comes
    given: { "shell.number {n = 1}": { then: [1, 2] } }
    people: { approve: { say: "yes" } }
    state: { file/a: {} }
    expect: { outcome: escalated, reason: refuted, effects: [] }
"""


def again_cases(box):
    box.write(book("remedy('touch', shell.touch { file = 'a' }, { verify = 'applied', approve = true, "
                   "when = function() return observe(shell.number { n = 1 }) == 1 end }) resolve 'done'", FRONT + MAY + LIMITS))
    box.write(AGAIN, "t.test.yaml")
    yield "when is looked at again after the yes", expect(box.run("test", "t.md"), 0)


def at_host(box, host, uid, *words, **env):
    """Of a machine that calls itself something else."""
    p = subprocess.run(["unshare", "-u", "sh", "-c", f'hostname {host}; exec setpriv --reuid={uid} --clear-groups "$@"', "sh",
                        *box.argv(*words)], cwd=box.path, text=True, capture_output=True, check=False, timeout=30,
                       env={**os.environ, **env})
    return p.returncode, p.stdout, p.stderr


def persons_cases(box):
    """Whatever their machine is called, and whatever they are by sudo, it is the same person."""
    if os.getuid() != 0 or subprocess.run(["unshare", "-u", "hostname", "one"], capture_output=True, check=False).returncode:
        return
    approve = ("approve", "1", "--state", "s")
    t = Terminal(box, "run", touching(box, "a", "{ of = 2 }"), "--state", "s")
    t.expect(b"midwatch approve 1")
    yield "who started it, from a machine of another name", expect(at_host(box, "one", 0, *approve), 2, r"somebody else")
    os.kill(t.pid, signal.SIGTERM)
    t.end()
    for path in ((box.path / "s"), *(box.path / "s").iterdir()):
        path.chmod(0o777)
    yield "and once the run is left", expect(at_host(box, "one", 0, *approve), 2, r"somebody else")
    yield "the first of two", expect(at_host(box, "one", 1, *approve), 0, r"daemon@one said yes")
    yield "the same person of another machine counts once", expect(at_host(box, "two", 1, *approve), 2, r"counts once")
    if pathlib.Path("/proc/self/loginuid").exists() and pathlib.Path("/proc/self/loginuid").read_text() == "4294967295":
        yield "and by sudo", expect(at_host(box, "two", 0, *approve, SUDO_UID="1"), 2, r"counts once")
        t = Terminal(box, "resume", "1", "--state", "s")
        t.expect(b"midwatch approve 1")
        yield "of a run that is executed, too", expect(at_host(box, "two", 0, *approve, SUDO_UID="1"), 2, r"counts once")
        yield "only root can be somebody else", expect(at_host(box, "two", 2, *approve, SUDO_UID="1"), 0, r"said yes")
        yield "and two are two", outcome(t, 0, "outcome: resolved")


def used_up(box):
    with sqlite3.connect(box.path / "s" / "journal.db") as db:
        left = db.execute("select left from approval where run = 2").fetchall()
    return None if left == [(0,)] else f"left: {left}"


def undo_cases(box):
    """What must be agreed to is asked of whoever types, wherever the output goes."""
    box.run("run", touching(box, "a", "false"), "--state", "s")
    for answer, (code, said) in {b"n\n": (2, ""), b"y\n": (0, "outcome: resolved")}.items():
        t = Terminal(box, "undo", "1", "--state", "s", piped=True)
        yield "undo asks although its output is piped", t.expect(b"touch on sh:file/a") or t.expect(b"Undo this? [y/N] ")
        t.type(answer)
        yield f"and {answer.decode()[0]} counts", outcome(t, code, said)


def nobody_cases(box):
    run = touching(box, "a", "true")
    yield "without a terminal nothing means yes", expect(box.run("run", run, "--state", "s"), 4, r"needs_approval", r"nobody can be asked")
    yield "and nothing was sent", None if not (box.path / "a").exists() else "it was sent"


def left_cases(box):
    run = touching(box, "a", "true")
    t = Terminal(box, "run", run, "--state", "s")
    t.expect(b"Type yes or no: ")
    os.kill(t.pid, signal.SIGTERM)
    yield "a run is left while it asks", outcome(t, 5, "midwatch resume 1")
    yield "the answer is written all the same", expect(box.run("approve", 1, "--state", "s"), 0, r"said yes", r"resume")
    yield "only once", expect(box.run("approve", 1, "--state", "s"), 2, r"asks nothing")
    yield "and resume goes on from it", expect(box.run("resume", 1, "--state", "s"), 0, r"outcome: resolved")
    yield "it was sent", None if (box.path / "a").exists() else "nothing was sent"
    t = Terminal(box, "run", touching(box, "b", "true"), "--state", "s")
    t.expect(b"Type yes or no: ")
    os.kill(t.pid, signal.SIGKILL)
    t.end()
    t = Terminal(box, "resume", "2", "--state", "s")
    yield "a killed run asks again", t.expect(b"Type yes or no: ")
    t.type(b"yes\n")
    yield "and takes the answer", outcome(t, 0, "outcome: resolved")
    t = Terminal(box, "run", box.write(book("resolve(ask('which way?', { 'left', 'right' }))")), "--state", "s")
    t.expect(b"Type left or right: ")
    os.kill(t.pid, signal.SIGTERM)
    t.end()
    yield "approve of a question of a run that was left", expect(box.run("approve", 3, "--state", "s"), 2,
                                                                 r'the choices are "left", "right" \(midwatch answer 3 CHOICE\)')
    yield "and a choice of it", expect(box.run("answer", 3, "left", "--state", "s"), 0, r"said left")
    for n in (1, 2):
        yield f"run {n} replays", expect(box.run("replay", n, "--state", "s"), 0, r"equal")
    if os.getuid() == 0:
        yield from left_group_cases(box)


def left_group_cases(box):
    """Who is named by a group is so as well where nobody executes the run."""
    t = Terminal(box, "run", touching(box, "c", "{ by = 'daemon' }"), "--state", "s")
    t.expect(b"midwatch approve 4")
    os.kill(t.pid, signal.SIGTERM)
    t.end()
    for path in ((box.path / "s"), *(box.path / "s").iterdir()):
        path.chmod(0o777)
    yield "somebody of another group", expect(as_user(box, 2, "approve", "4", "--state", "s"), 2, r"one of those named")
    yield "somebody of the group", expect(as_user(box, 1, "approve", "4", "--state", "s"), 0, r"daemon@\S+ said yes")
    yield "counts", expect(box.run("resume", 4, "--state", "s"), 0, r"outcome: resolved")


def far_cases(box):
    """No socket fits at this path, so nobody can be reached there; where nobody owns the journal nobody need be."""
    far = "s" * 120
    for _ in range(2):
        t = Terminal(box, "run", touching(box, "a", "true"), "--state", far)
        t.expect(b"Type yes or no: ")
        os.kill(t.pid, signal.SIGTERM)
        t.end()
    yield "approved where no socket fits", expect(box.run("approve", 1, "--state", far), 0, r"said yes")
    yield "resumed there", expect(box.run("resume", 1, "--state", far), 0, r"outcome: resolved")
    yield "cancelled there", expect(box.run("cancel", 2, "--state", far), 7, r"cancelled") or \
        expect(box.run("replay", 2, "--state", far), 0, r"equal")
    yield "revoked there", expect(box.run("revoke", "4f1c09a", "--state", far), 0, r"is revoked by")
    yield "halted there", expect(box.run("halt", "--state", far), 0, r"\Ahalted: [^\n]*\n\Z")


def expiry_cases(box):
    run = touching(box, "a", "{ within = '1s' }")
    t = Terminal(box, "run", run, "--state", "s")
    begun = time.monotonic()
    yield "an approval expires", outcome(t, 4, "expired")
    yield "in its time", None if time.monotonic() - begun < stand.patience(8) else "it took too long"


def notify_cases(box):
    config = (box.path / "midwatch.yaml").read_text()
    (box.path / "midwatch.yaml").write_text(config + """channels:
  ops: { argv: [sh, -c, 'cat >> got; echo " $MIDWATCH_KEY" >> got'] }
  broken: { argv: [sh, -c, "echo no >&2; exit 3"] }
""")
    run = box.write(book("notify('ops', 'it is <b>down</b>') notify('broken', 'x') notify('opps', 'x') notify('terminal', 'seen')"
                         " measure('p95', 0.25) resolve 'told'"))
    yield "messages never end a run", expect(box.run("run", run, "--state", "s"), 0, r"outcome: resolved", r"exit 3: no",
                                             r"no channel 'opps' \(did you mean 'ops'", r"message to terminal: seen", r"p95 = 0\.25")
    got = (box.path / "got").read_text()
    yield "the text comes on stdin, with a key", None if got.startswith("it is <b>down</b> ") and len(got) > 30 else got
    yield "replay sends nothing", expect(box.run("replay", 1, "--state", "s"), 0, r"equal") or \
        (None if (box.path / "got").read_text() == got else "it was sent again")
    (box.path / "midwatch.yaml").write_text(config + "channels: { ops: { argv: sendmail } }\n")
    yield "a channel is a list of words", expect(box.run("run", run, "--state", "s"), 2, r"midwatch\.yaml:\d+:\d+.*argv")


GROUPS = {"drift": drift_cases, "again": again_cases, "persons": persons_cases, "undo": undo_cases, "operator": operator_cases, "notify": notify_cases, "terminal": terminal_cases, "elsewhere": elsewhere_cases, "nobody": nobody_cases, "left": left_cases,
          "far": far_cases, "expiry": expiry_cases}


def cases(program, scratch, only):
    os.chmod(scratch, 0o755)
    for group, of in GROUPS.items():
        if only in group:
            yield from of(Box(program, scratch / group))


if __name__ == "__main__":
    stand.main(__doc__, cases)
