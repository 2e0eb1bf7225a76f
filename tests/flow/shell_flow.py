#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Declared commands, here (shell) and on another machine (ssh, against an sshd of our own with its own keys): what they
answer, what a parameter cannot become, and what is known when a connection breaks.

Prints `ok - name` or `not ok - name: why` per case."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import stand
from stand import expect

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
VERBS = ("set_workers", "leave", "refuses", "killed", "undeclared", "slow_touch", "cut", "open", "stuck")
NASTY = ["plain", "two words", "a'b", "''", "a\\", "\\'", "!x", "a!b'c\\d", "$(touch x)", "`id`", "a;b|c&d>e<f", "*?[a]", "~",
    "=ls",
         "%self", "{a,b}", "\"", "#c", "x=y", "ü€", "(a)", "^a^b", "$HOME", "a\\\\", "@", "-e"]


def commands(scratch):
    return f"""
    say: {{ argv: [printf, "%s", "{{{{text}}}}"], params: {{ text: {{ type: string, match: ".*" }} }}, read: true }}
    both: {{ argv: [printf, "%s|", "{{{{a}}}}-{{{{a}}}}", "{{{{b}}}}"], params: {{ a: {{ match: ".*" }}, b: {{ type: integer, default: 4, max: 9 }} }}, read: true }}
    number: {{ argv: [echo, "{{{{text}}}}"], params: {{ text: {{ type: string, match: ".*" }} }}, read: {{ returns: number }} }}
    integer: {{ argv: [echo, "{{{{text}}}}"], params: {{ text: {{ type: string, match: ".*" }} }}, read: {{ returns: integer }} }}
    truth: {{ argv: [echo, "{{{{text}}}}"], params: {{ text: {{ type: string }} }}, read: {{ returns: boolean }} }}
    json: {{ argv: [echo, "{{{{text}}}}"], params: {{ text: {{ type: string, match: ".*" }} }}, read: {{ returns: json }} }}
    lines: {{ argv: [seq, "{{{{n}}}}"], params: {{ n: {{ type: integer }} }}, read: {{ returns: lines, at_most: 10000 }} }}
    few: {{ argv: [seq, "{{{{n}}}}"], params: {{ n: {{ type: integer }} }}, read: {{ returns: lines, at_most: 3 }} }}
    script: {{ argv: [sh, -s, "--", "{{{{a}}}}"], script: 'printf "%s %s" "$1" "$#"', params: {{ a: {{ match: ".*" }} }}, read: true }}
    piped: {{ argv: [cat], input: "<{{{{a}}}}>", params: {{ a: {{ match: ".*" }} }}, read: true }}
    place: {{ argv: [sh, -c, 'echo "$PWD $WHO"'], cwd: {scratch}, env: {{ WHO: "a 'b' \\\\ c" }}, read: true }}
    fails: {{ argv: [sh, -c, 'echo oops >&2; exit 3'], read: true }}
    exits: {{ argv: [sh, -c, 'exit "$1"', sh, "{{{{code}}}}"], params: {{ code: {{ type: integer }} }}, read: {{ returns: success, no: [1, 3] }} }}
    door: {{ argv: [cat, {scratch}/door], read: {{ returns: boolean }} }}
    open: {{ argv: [sh, -c, 'echo true >{scratch}/door; exit 7'], effect: {{ class: ensure, target: door, check: door, undo: not needed }} }}
    stuck: {{ argv: [sh, -c, 'exit 7'], effect: {{ class: ensure, target: door, check: door, undo: not needed }} }}
    fine: {{ argv: [sh, -c, 'echo yes; exit 3'], read: {{ ok: [3] }} }}
    bytes: {{ argv: [printf, 'a\\000\\033[2Jb\\377'], read: true }}
    flood: {{ argv: [sh, -c, 'yes | head -c 3000000'], read: true }}
    slow: {{ argv: [sleep, "30"], read: true, timeout: 1s }}
    patient: {{ argv: [sh, -c, 'sleep 2; echo late'], read: true, timeout: 3s }}
    nowhere: {{ argv: [/no/such/program], read: true }}
    workers: {{ argv: [cat, {scratch}/workers], read: {{ returns: integer }} }}
    set_workers: {{ argv: [sh, -c, 'echo "$1" >{scratch}/workers; echo "$2" >>{scratch}/log', sh, "{{{{n}}}}", "{{{{from}}}}"],
                    params: {{ n: {{ type: integer, max: 9 }} }}, effect: {{ class: ensure, target: pool, state: workers, sets: n }} }}
    leave: {{ argv: [sh, -c, 'echo x >>{scratch}/log; exit 7'], effect: {{ class: never_twice, target: x, undo: not needed }} }}
    refuses: {{ argv: [sh, -c, 'exit 9'], effect: {{ class: never_twice, target: x, undo: not needed, refused: [9] }} }}
    killed: {{ argv: [sh, -c, 'echo x >>{scratch}/log; kill -9 $$'], effect: {{ class: never_twice, target: x, undo: not needed }} }}
    undeclared: {{ argv: [touch, {scratch}/log], effect: {{ target: x }} }}
    slow_touch: {{ argv: [sh, -c, 'sleep 3; echo late >>{scratch}/log'], timeout: 1s, effect: {{ class: never_twice, target: x, undo: not needed }} }}
    cut: {{ argv: [sh, -c, 'echo x >>{scratch}/log; kill -9 $PPID; sleep 5'], effect: {{ class: never_twice, target: x, undo: not needed }} }}
"""


# name, verb, its arguments, exit code, what must be said
READS = [
    ("a text", "say", "{ text = 'hello' }", 0, "is hello"), ("twice and beside", "both", "{ a = 'x y' }", 0, r"is x y-x y\|4\|"),
    ("a number", "number", "{ text = ' 1.5e3 ' }", 0, "is 1500"), ("an integer", "integer", "{ text = '42' }", 0, "is 42"),
    ("no number", "number", "{ text = '3 apples' }", 3, "not a number: 3 apples"), ("nan", "number", "{ text = 'nan' }", 3,
     "not a number"),
    ("hex is no number", "number", "{ text = '0x10' }", 3, "not a number"), ("no integer", "integer", "{ text = '1.5' }", 3,
     "not an integer"),
    ("true", "truth", "{ text = 'true' }", 0, "is true"), ("neither", "truth", "{ text = 'yes' }", 3, "not true or false"),
    ("no JSON", "json", "{ text = '[1,' }", 3, "not JSON"), ("null", "json", "{ text = 'null' }", 3, "no_data|null"),
    ("a script gets its words", "script", "{ a = \"x'; echo $(id) #\" }", 0, r"is x'; echo \$\(id\) # 1"),
    ("input", "piped", "{ a = 'x' }", 0, "is <x>"), ("cwd and env", "place", "()", 0, r"is /.* a 'b' \\+ c"),
    ("an exit code", "fails", "()", 3, "exit 3: oops"), ("an exit code that is fine", "fine", "()", 0, "is yes"),
    ("exit 0 is yes", "exits", "{ code = 0 }", 0, "is true"), ("an exit code that is no", "exits", "{ code = 3 }", 0, "is false"),
    ("an exit code that is neither", "exits", "{ code = 2 }", 3, "exit 2"),
    ("options behind the names", "truth", "({ text = 'true' }, { max_age = '1m' })", 0, "is true"),
    ("an unknown option", "truth", "({ text = 'true' }, { max_aeg = '1m' })", 3, "max_aeg.*'max_age'"),
    ("control bytes", "bytes", "()", 0, "is a"), ("more than is kept", "flood", "()", 3, "more than is kept"),
    ("patient", "patient", "()", 0, "is late"), ("too slow", "slow", "()", 3, "took too long"), ("too many lines", "few",
     "{ n = 4 }", 3, "more than 3 lines"),
    ("an unknown parameter", "say", "{ txt = 'x' }", 3, "txt.*did you mean 'text'"), ("a flag", "truth", "{ text = '-x' }", 3,
     "looks like a flag"),
    ("a control character", "say", "{ text = 'a\\27b' }", 3, "control character"), ("too large", "both", "{ a = 'x', b = 10 }",
     3, "between - and 9"),
    ("no integer where one is wanted", "both", "{ a = 'x', b = 1.5 }", 3, "must be an integer"),
    ("a table", "say", "{ text = {} }", 3, "must be a text"),
]

BAD = [
    ("a template in a shell line", "{ argv: [sh, -c, 'echo {{a}}'], params: { a: {} }, read: true }", "run as code"),
    ("a template in a shell's input", "{ argv: [bash, -s], input: 'echo {{a}}', params: { a: {} }, read: true }", "run as code"),
    ("input and script", "{ argv: [sh], input: a, script: b, read: true }", "input or script"),
    ("an unknown name", "{ argv: [echo, '{{b}}'], params: { a: {} }, read: true }", r"\{\{b\}\} is no parameter"),
    ("an unknown key of a parameter", "{ argv: [echo], params: { a: { mtch: x } }, read: true }", "mtch.*did you mean 'match'"),
    ("a bad default", "{ argv: [echo], params: { a: { type: integer, default: x } }, read: true }", "default must be a number"),
    ("a check that is none", "{ argv: [echo], effect: { class: ensure, target: t, check: nope } }", "no read (command )?'nope'"),
    ("no of what is no success", "{ argv: [echo], read: { returns: boolean, no: [3] } }", "returns success"),
    ("sets what is no parameter", "{ argv: [echo], effect: { class: ensure, target: t, state: x, sets: n } }",
     "'n' is no parameter"),
]


class Far:
    """An sshd on a free port with its own host key and one authorized key."""

    def __init__(self, path):
        self.path = path
        path.mkdir(mode=0o700)
        for name in ("host", "id", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path / name], check=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        shutil.copy(path / "id.pub", path / "authorized_keys")
        (path / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {path}/host\nAuthorizedKeysFile {path}/authorized_keys\n"
            f"PidFile {path}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin yes\nAcceptEnv none\nLogLevel ERROR\n")
        known = (path / "host.pub").read_text().split()[:2]
        (path / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(known)}\n")
        other = (path / "other.pub").read_text().split()[:2]
        (path / "wrong_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(other)}\n")
        (path / "no_hosts").write_text("")
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.log = open(path / "sshd.log", "wb")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(path / "sshd_config")], stderr=self.log)
        self.wait()

    def wait(self):
        def answers():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        if not stand.wait_for(answers):
            raise RuntimeError((self.path / "sshd.log").read_text())

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def instance(far, known="known_hosts", key="id", more=""):
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    return (f"instances:\n  far:\n    plugin: ssh\n    user: {user}\n    identity_file: {far.path}/{key}\n    known_hosts: {far.path}/{known}\n"
            f"    connect_timeout: 2s\n{more}    hosts: {{ web-1: {{ address: 127.0.0.1, port: {far.port} }}, dead: {{ address: 127.0.0.1, port: 1 }} }}\n"
            "    commands:" + commands(far.path).replace("\n    ", "\n      "))


def may(alias, host=""):
    return "may:\n" + "".join(f'  - {{ effect: {alias}.{v}, target: "{host}{t}" }}\n' for v in VERBS for t in ("x", "pool", "door")) + \
        "limits: { cooldown: 0s }\n"


def lua(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def common_cases(where, box, subject, front, path):
    """What holds for a command wherever it runs. `subject` is the Lua that stands before the verb's name."""
    for name, verb, args, code, pattern in READS:
        yield f"{where}: {name}", expect(box.run(f"local x = observe({subject}{verb}{' ' * (args != '()')}{args})\nresolve('is ' .. tostring(x))"), code, pattern)
    got = box.run(f"local x = observe({subject}json {{ text = '{{\"a\":[1,2]}}' }}) resolve('is ' .. x.a[2])")
    yield f"{where}: JSON", expect(got, 0, "is 2")
    got = box.run(f"resolve('n ' .. #observe({subject}lines {{ n = 10000 }}) .. ' ' .. #observe({subject}lines {{ n = 0 }}) .. ' ' .. #observe({subject}lines {{ n = 1 }}))")
    yield f"{where}: 10,000 lines, none, one", expect(got, 0, "n 10000 0 1")
    words = "".join(f"if observe({subject}say {{ text = {lua(w)} }}) ~= {lua(w)} then refuse({lua('changed: ' + w)}) end\n" for w in NASTY)
    yield f"{where}: {len(NASTY)} nasty words arrive as they are", expect(box.run(words + "resolve 'same'"), 0, "same")
    (path / "workers").write_text("3\n")
    remedy = "remedy('r', {}, {{ verify = {}, within = 2, first_look = 0, every = 1 }})\nresolve 'done'"
    got = box.run(remedy.format(f"{subject}set_workers {{ n = 5 }}", "'applied'"), front)
    yield f"{where}: state and sets", expect(got, 0) or (None if (path / "workers").read_text() == "5\n" else "not set")
    got = box.run(remedy.format(f"{subject}set_workers {{ n = 8 }}", "function() return false end"), front)
    yield f"{where}: undo is derived", expect(got, 3, "was undone") or \
        (None if (path / "workers").read_text() == "5\n" else "not put back")
    yield f"{where}: {{{{from}}}} is what it was", None if (path / "log").read_text() == "3\n5\n8\n" else (path / "log").read_text()
    for verb, code, pattern in (("stuck", 3, "absent"), ("open", 0, "done")):
        (path / "door").write_text("false\n")
        yield f"{where}: what prints true or false says itself whether an effect is there, {verb}", \
            expect(box.run(remedy.format(f"{subject}{verb}()", "'applied'"), front), code, pattern)
    for verb, code, pattern, sent in (("leave", 6, "UNKNOWN", 1), ("killed", 6, "UNKNOWN", 1), ("refuses", 3, "exit 9", 0),
        ("undeclared", 4, "approv", 0)):
        (path / "log").unlink(missing_ok=True)
        got = box.run(remedy.format(f"{subject}{verb}()", "'applied'"), front)
        n = (path / "log").read_text().count("x") if (path / "log").exists() else 0
        yield f"{where}: effect {verb}", expect(got, code, pattern) or (None if n == sent else f"it ran {n} times")


def shell_cases(program, scratch):
    path = scratch / "here"
    path.mkdir()
    text = "instances: { sh: { plugin: shell } }\ncommands:" + commands(path)
    box = stand.Box(program, scratch / "shell", text, "{ shell: sh }")
    yield from common_cases("shell", box, "shell.", may("shell"), path)
    yield "shell: no such program", expect(box.run("observe(shell.nowhere())"), 3, "/no/such/program")
    for n, (name, command, pattern) in enumerate(BAD):
        box = stand.Box(program, scratch / f"bad{n}", f"instances: {{ sh: {{ plugin: shell }} }}\ncommands:\n  r: {command}\n",
            "{ shell: sh }")
        yield "declared: " + name, expect(box.run("resolve 'x'"), 2, pattern)


def ssh_cases(program, scratch):
    far = Far(scratch / "far")
    try:
        box = stand.Box(program, scratch / "ssh", instance(far), "{ ssh: far }")
        front = may("ssh", "web-1/")
        yield from common_cases("ssh", box, 'ssh.host("web-1"):', front, far.path)
        yield "ssh: no such program", expect(box.run('observe(ssh.host("web-1"):nowhere())'), 3, "exit 127|/no/such/program")
        yield "ssh: an unknown host", expect(box.run('observe(ssh.host("web-3"):fine())'), 3,
            "no host 'web-3'.*did you mean 'web-1'")
        yield "ssh: a dead host", expect(box.run('observe(ssh.host("dead"):fine())'), 3, "connection to dead failed.*refused")
        yield from broken_cases(box, far, front)
        for name, known, key, pattern in (("an unknown host key", "no_hosts", "id",
            "Host key verification failed|host key is known"),
                                          ("another host key", "wrong_hosts", "id",
                                           "(?i)host key verification failed|identification has changed|changed"),
                                          ("a key that is not accepted", "known_hosts", "other", "Permission denied")):
            box = stand.Box(program, scratch / f"ssh-{name.replace(' ', '-')}", instance(far, known, key), "{ ssh: far }")
            yield "ssh: " + name, expect(box.run('observe(ssh.host("web-1"):fine())'), 3, "connection to web-1 failed") or \
                expect(box.run('observe(ssh.host("web-1"):fine())'), 3, pattern)
            got = box.run("remedy('r', ssh.host('web-1'):leave(), { verify = 'applied' })", front)
            yield f"ssh: {name}: an effect is unknown, not failed", expect(got, 6, "UNKNOWN")
            yield f"ssh: {name}: nothing was learnt", None if (far.path / known).read_text().count("\n") <= 1 else "the file grew"
    finally:
        far.close()
    for n, (more, pattern) in enumerate((("    prt: 1\n", "prt.*did you mean 'port'"), ("    user: '-oProxyCommand=x'\n",
        "user"))):
        text = instance(far, more=more).replace("    user: root\n", "" if "user" in more else "    user: root\n")
        box = stand.Box(program, scratch / f"ssh-bad{n}", text, "{ ssh: far }")
        yield f"ssh: declared badly: {more.strip()}", expect(box.run("resolve 'x'"), 2, pattern)


def broken_cases(box, far, front):
    """The far side's own time limit, and a connection that breaks while the command runs."""
    remedy = "remedy('r', ssh.host('web-1'):{}(), {{ verify = 'applied' }})"
    (far.path / "log").unlink(missing_ok=True)
    begun = time.monotonic()
    got = box.run(remedy.format("slow_touch"), front)
    took = time.monotonic() - begun
    yield "ssh: too slow is unknown", expect(got, 6, "took too long")
    time.sleep(max(0.0, 4 - took))
    yield "ssh: and ends on the far side too", None if not (far.path / "log").exists() else "it lived on"
    got = box.run(remedy.format("cut"), front)
    yield "ssh: killed with its connection is unknown", expect(got, 6, "UNKNOWN") or \
        (None if (far.path / "log").read_text().count("x") == 1 else "it did not run once")


def cases(program, scratch, only):
    if only in "shell_cases":
        yield from shell_cases(program, scratch)
    if only in "ssh_cases" and SSHD:
        yield from ssh_cases(program, scratch)
    elif not SSHD:
        yield "ssh", "there is no sshd here (openssh-server)"


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    stand.main(__doc__, cases)
