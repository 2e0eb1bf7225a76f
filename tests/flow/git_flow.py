#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runbooks from git: `--at`, `--repo`, what is recorded of a run's sources, `require`, and a repository behind a real sshd.

Prints `ok - name` or `not ok - name: why` per case."""
import contextlib
import getpass
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import stand
from cli_flow import CONFIG, FRONT, MAY, Box, book, expect

GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
       "GIT_COMMITTER_EMAIL": "a@b"}


class Repo(Box):
    """A box that is a git repository, with its state outside of it."""

    def __init__(self, program, path):
        super().__init__(program, path / "r")
        self.state = path / "state"
        (path / "midwatch.yaml").write_text(CONFIG)
        self.config = path / "midwatch.yaml"
        (self.path / "midwatch.yaml").unlink()
        self.git("init", "-q", "-b", "main", ".")

    def git(self, *words, cwd=None):
        p = subprocess.run(["git", *map(str, words)], cwd=cwd or self.path, text=True, capture_output=True, check=True,
                           env={**os.environ, **GIT, "HOME": str(self.path.parent)})
        return p.stdout.strip()

    def commit(self, **files):
        for name, text in files.items():
            path = self.path / name.replace("__", "/").replace("_lua", ".lua").replace("_md", ".md")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def mid(self, *words, env=None, cwd=None, program=None):
        words = list(words)
        if words[0] not in ("lint", "test"):
            words += ["--state", self.state]
        if words[0] in ("run", "resume", "lint", "test", "replay"):
            words += ["--config", self.config]
        cwd = cwd or (self.path if self.path.exists() else "/")
        p = subprocess.run([str(program or self.program), *map(str, words)], cwd=cwd, text=True, capture_output=True, timeout=stand.patience(60),
                           check=False, env={**os.environ, "HOME": str(self.path.parent), **(env or {})})
        return p.returncode, p.stdout, p.stderr

    def runs(self):
        code, out, _ = self.mid("list", "-o", "json")
        return json.loads(out) if code == 0 else []

    def source(self):
        return self.runs()[0]["source"]


def says(text, front=FRONT):
    return book(f'resolve "{text}"', front)


def same(got, want):
    return None if got == want else f"{got} instead of {want}"


# --- what is recorded

def record_cases(box):
    first = box.commit(t_md=book('require "a" resolve "x"'), lib__a_lua="return 1\n")
    tree = box.git("rev-parse", "HEAD^{tree}")
    want = {"commit": first, "dirty": False, "repo": str(box.path), "tree": tree}

    def recorded(name, dirty, **more):
        got = box.mid("run", "t.md", **more)
        return name, expect(got, 0) or same(box.source(), {**want, "dirty": dirty})

    yield recorded("a clean working tree: commit and tree", False)
    yield "show names the commit", expect(box.mid("show", 1), 0, f"commit {first[:12]} of {box.path}\n")
    yield "the report names it", expect(box.mid("report", 1), 0, f", commit {first}\n")
    yield "seen from a folder below", expect(box.mid("run", "../t.md", cwd=box.path / "lib"), 0) or same(box.source(), want)
    (box.path / "other").write_text("x")
    yield recorded("another file that is not committed does not count", False)
    (box.path / "lib/a.lua").write_text("return 2\n")
    yield recorded("a changed module", True)
    yield "show says that there are changes", expect(box.mid("show", box.runs()[0]["id"]), 0, "with changes that are in no commit")
    box.git("add", "-A")
    yield recorded("a staged module", True)
    box.git("reset", "-q", "--hard")
    (box.path / "t.md").write_text(book('require "a" resolve "y"'))
    yield recorded("a changed runbook", True)
    box.git("checkout", "-q", "--", ".")
    (box.path / "u.md").write_text(says("x", FRONT.replace(" t\n", " u\n", 1)))
    yield "a runbook that git does not know", expect(box.mid("run", "u.md"), 0) or same(box.source(), {**want, "dirty": True})
    box.git("gc", "-q")
    yield recorded("packed", False)
    yield from record_oddities(box, want, recorded)


def record_oddities(box, want, recorded):
    box.git("worktree", "add", "-q", "../linked", "HEAD")
    yield "a linked working tree", expect(box.mid("run", "t.md", cwd=box.path.parent / "linked"), 0) or \
        same(box.source(), {**want, "repo": str(box.path.parent / "linked")})
    empty = {"PATH": str(box.path.parent)}
    yield "without the git program", expect(box.mid("run", "t.md", env=empty), 0, r"commit of t\.md is not recorded: .*git") or \
        same(box.source(), {**want, "commit": None, "tree": None, "dirty": True})
    hostile = box.path.parent / "hostile"
    hostile.mkdir()
    (hostile / "t.md").write_text(says("x"))
    for words in (["init", "-q", "."], ["add", "-A"], ["commit", "-q", "-m", "x"], ["config", "extensions.partialClone", "origin"],
                  ["config", "core.repositoryFormatVersion", 1], ["config", "remote.origin.promisor", "true"],
                  ["config", "remote.origin.url", f"ext::touch {hostile}/ran"], ["config", "protocol.ext.allow", "always"]):
        box.git(*words, cwd=hostile)
    tree = box.git("rev-parse", "HEAD^{tree}", cwd=hostile)
    (hostile / ".git/objects" / tree[:2] / tree[2:]).unlink()
    for words in ([], ["--at", "HEAD"]):
        got = box.mid("run", "t.md", *words, cwd=hostile)
        yield f"a repository that wants commands run {' '.join(words)}", expect(got, 2 if words else 0) or \
            (None if not (hostile / "ran").exists() else "it ran one")
    slow = box.path.parent / "slow"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 30\n")
    (slow / "git").chmod(0o755)
    begun = time.monotonic()
    yield "a git program that hangs", expect(box.mid("run", "t.md", env={"PATH": f"{slow}:{os.environ['PATH']}"}), 0, "git does not answer") \
        or (None if time.monotonic() - begun < stand.patience(12) else "it took too long")
    plain = box.path.parent / "plain"
    plain.mkdir()
    (plain / "t.md").write_text(says("x"))
    yield "in no repository", expect(box.mid("run", "t.md", cwd=plain), 0) or same(box.source(), None)
    box.git("init", "-q", "--object-format=sha256", ".", cwd=plain)
    yield "nothing committed yet", expect(box.mid("run", "t.md", cwd=plain), 0) or \
        same(box.source(), {"commit": None, "dirty": True, "repo": str(plain), "tree": None})
    box.git("add", "-A", cwd=plain)
    box.git("commit", "-q", "-m", "x", cwd=plain)
    yield "a repository with SHA-256", expect(box.mid("run", "t.md", cwd=plain), 0) or same(box.source(), {
        "commit": box.git("rev-parse", "HEAD", cwd=plain), "dirty": False, "repo": str(plain),
        "tree": box.git("rev-parse", "HEAD^{tree}", cwd=plain)})
    yield "--at in a repository with SHA-256", expect(box.mid("run", "t.md", "--at", "main", cwd=plain), 2, "objectformat")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "12345", box.path], check=True)
        yield recorded("a repository of somebody else", False)
        yield "--at in a repository of somebody else", expect(box.mid("run", "t.md", "--at", "main"), 0)


# --- runs from a commit

def at_cases(box):
    old = box.commit(runbooks__t_md=book('resolve(require "a")'), lib__a_lua="return 'old'\n")
    box.git("tag", "-a", "-m", "x", "v1")
    box.commit(lib__a_lua="return 'new'\n")
    (box.path / "lib/a.lua").write_text("return 'dirty'\n")
    for name, words, text in (("the working tree", [], "dirty"), ("a branch", ["--at", "main"], "new"), ("a tag", ["--at", "v1"], "old"),
                              ("a commit", ["--at", old[:10]], "old"), ("an ancestor", ["--at=HEAD~1"], "old")):
        yield f"run from {name}", expect(box.mid("run", "t", *words), 0, rf"resolved.*: {text}\n")
    yield "the commit is recorded", same(box.source()["commit"], old) or same(box.source()["dirty"], False)
    yield "a branch that is not there", expect(box.mid("run", "t", "--at", "mian"), 2, r"'mian' \(did you mean 'main'\?\)")
    yield "a runbook that is not there", expect(box.mid("run", "x", "--at", "v1"), 2, rf"{old[:12]}.*no runbook 'x'.*runbooks/x\.md")
    yield "--at without a value", expect(box.mid("run", "t", "--at="), 2, "names no commit")
    yield "--at in no repository", expect(box.mid("run", "t", "--at", "main", cwd="/"), 2, "not in a git repository")
    yield "--repo with a path", expect(box.mid("run", "t", "--repo", box.path, "--at", "v1", cwd="/"), 0, "resolved.*: old")
    yield "--repo without --at is its HEAD", expect(box.mid("run", "t", "--repo", box.path, cwd="/"), 0, "resolved.*: new")
    yield "--repo that is not there", expect(box.mid("run", "t", "--repo", "/nowhere"), 2, "/nowhere is not in a git repository")
    yield "replays are equal", next((w for w in (expect(box.mid("replay", r["id"]), 0, "equal") for r in box.runs()) if w), None)


def check_cases(box):
    box.commit(runbooks__t_md=book("local a = require 'a'\nif observe(shell.hello()) == a.word then resolve 'yes' end no_action 'no'"),
               lib__a_lua="return { word = 'hello' }\n",
               **{"runbooks/t.test.yaml": "scenarios:\n  - { name: old, given: { 'shell.hello()': hello }, expect: { outcome: resolved } }\n"})
    box.git("tag", "v1")
    box.commit(lib__a_lua="local t = {\n  word = 'hullo' }\nlocal function f() return shell.helo() end\nreturn t, f\n")
    box.commit(lib__a_lua="local b = 1\nlocal a = = 2\n")
    yield "test --at takes the scenarios of the commit", expect(box.mid("test", "t", "--at", "v1"), 0, "1 passed, 0 failed")
    yield "test of a module with an error", expect(box.mid("test", "t"), 2, r"lib/a\.lua:2: ")
    yield "lint --at of a good commit", expect(box.mid("lint", "t", "--at", "v1"), 0, "nothing to complain about")
    yield "lint names the module's line", expect(box.mid("lint", "t"), 2, r"^lib/a\.lua:2:11: ")
    yield "lint of a word that the plugin has not", expect(box.mid("lint", "t", "--at", "main~1"), 2,
                                                         r"lib/a\.lua:3:\d+: shell has no 'helo' \(did you mean 'hello'\?\)")


# --- require

REQUIRE = {
    "no such module": ("require 'chekcs'", {}, 2, r"t\.md:9:1: there is no module 'chekcs'"),
    "no literal": ("local n = 'a' require(n)", {"lib__a_lua": ""}, 2, r"t\.md:9:15: require takes a literal name"),
    "way out": ("require '../../etc/passwd'", {}, 2, r"t\.md:9:1: .*lower-case"),
    "circle": ("require 'a'", {"lib__a_lua": "require 'b'", "lib__b_lua": "\nrequire 'a'"}, 2, r"lib/b\.lua:2:1: .*circle: a -> b -> a"),
    "syntax error": ("require 'a'", {"lib__a_lua": "local x =\n\nend"}, 2, r"lib/a\.lua:3:(1:)? "),
    "error while loading": ("require 'a'", {"lib__a_lua": "\nerror('bad')"}, 3, r"lib/a\.lua:2: bad"),
    "error in a function": ("require('a')()", {"lib__a_lua": "return function()\n local x\n return x.y end"}, 3,
                            r"lib/a\.lua:3: attempt to index"),
    "observe while loading": ("require 'a'", {"lib__a_lua": "local x = observe(shell.hello())"}, 3,
                              r"lib/a\.lua:1: .*while a module is being loaded"),
    "observe in a function": ("resolve(require('a')())", {"lib__a_lua": "return function() return observe(shell.hello()) end"}, 0, "resolved"),
    "no global": ("require 'a'", {"lib__a_lua": "count = 1"}, 3, r"lib/a\.lua:1: assign to undeclared 'count'"),
    "no host": ("require 'a'", {"lib__a_lua": "return host.gate"}, 3, r"lib/a\.lua:1: no global 'host'"),
    "no library": ("resolve(load('return require(\"os\")')())", {}, 3, r"no module 'os' in this run"),
    "loops for ever": ("require 'a'", {"lib__a_lua": "\nwhile true do end"}, 3, r"lib/a\.lua:2"),
    "inconclusive in a module": ("require('a')()", {"lib__a_lua": "return function()\n return observe { x = shell.number { n = 'x' } }.x end"},
                                 3, r"a\.lua:2"),
    "message with the module's place": ("local _, m = try(require 'a') resolve(m)", {"lib__a_lua": "return function()\n error('bad') end"}, 0,
                                        r"resolved .*: lib/a\.lua:2: bad"),
    "message with the runbook's place": ("local _, m = try(function() error('bad') end) resolve(m)", {}, 0,
                                         r"resolved .*: t\.md:9: bad"),
}


def require_cases(box):
    for name, (code, files, exit_code, pattern) in REQUIRE.items():
        shutil.rmtree(box.path / "lib", ignore_errors=True)
        box.commit(runbooks__t_md=book(code + ("" if "resolve" in code else " resolve 'x'")), **files)
        before = len(box.runs())
        yield f"require: {name}", expect(box.mid("run", "t"), exit_code, pattern)
        yield f"require: {name}, from the commit", expect(box.mid("run", "t", "--at", "main"), exit_code, pattern)
        if exit_code == 2:
            yield f"require: {name}: lint", expect(box.mid("lint", "t"), 2, pattern)
            yield f"require: {name}: no run", same(len(box.runs()), before)
        else:
            yield f"require: {name}: replay", next((w for w in (expect(box.mid("replay", r["id"]), 0) for r in box.runs()[:2]) if w), None)


# --- a run keeps its sources

def pinned_cases(box):
    code = "remedy('lose', shell.lost {{ file = 'lost' }}, {{ verify = function() return true end, when = function() return true end }})\n" \
           "resolve(require 'word')".replace("{{", "{").replace("}}", "}")
    first = box.commit(runbooks__t_md=book(code, FRONT + MAY), lib__word_lua="return 'first'\n")
    yield "a run from a branch parks", expect(box.mid("run", "t", "--at", "main"), 6, "settle 1 applied")
    box.commit(lib__word_lua="return 'second'\n")
    box.git("commit", "-q", "--amend", "-m", "rewritten")
    box.git("update-ref", "-d", "ORIG_HEAD")
    box.git("checkout", "-q", "--orphan", "fresh")
    box.commit(lib__word_lua="return 'third'\n")
    box.git("branch", "-M", "fresh", "main")
    shutil.rmtree(box.path)
    elsewhere = box.path.parent
    yield "settled without the repository", expect(box.mid("settle", 1, "applied", cwd=elsewhere), 0)
    yield "resumed without the repository, on its sources", expect(box.mid("resume", 1, cwd=elsewhere), 0, "resolved.*: first")
    yield "its commit is still known", same(box.source()["commit"], first)
    yield "replayed without the repository", expect(box.mid("replay", 1, cwd=elsewhere), 0, "equal")


def killed_cases(box):
    box.commit(runbooks__t_md=book("require('w').wait() resolve(require('w').word)"),
               lib__w_lua="return { word = 'first', wait = function() sleep('1s') end }\n")
    p = subprocess.Popen([str(box.program), "run", "t", "--state", str(box.state), "--config", str(box.config)], cwd=box.path,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stand.wait_for(lambda: box.runs() and any(r["rows"] > 1 for r in box.runs()))
    p.send_signal(signal.SIGKILL)
    p.communicate(timeout=stand.patience(20))
    box.commit(lib__w_lua="return { word = 'second', wait = error }\n")
    yield "killed in a module, resumed on its sources", expect(box.mid("resume", 1), 0, "resolved.*: first")


# --- a repository behind ssh

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def keygen(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


class Sshd:
    """An sshd of this test, as this user, with keys of its own."""

    def __init__(self, path):
        path.mkdir()
        self.path, self.port = path, free_port()
        for name in ("host", "client", "stranger"):
            keygen(path / name)
        (path / "authorized").write_text((path / "client.pub").read_text())
        (path / "config").write_text(f"""\
Port {self.port}
ListenAddress 127.0.0.1
HostKey {path}/host
AuthorizedKeysFile {path}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
""")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.trust("host")
        self.process = None

    def trust(self, key):
        kind, data = (self.path / f"{key}.pub").read_text().split()[:2]
        (self.path / "known").write_text(f"[127.0.0.1]:{self.port} {kind} {data}\n")

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(self.path / "config")], stderr=subprocess.DEVNULL)
        return stand.wait_for(self.answers)

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=10)
        self.process = None

    def env(self, key="client"):
        return {"GIT_SSH_COMMAND": f"ssh -F none -i {self.path}/{key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes "
                                   f"-o UserKnownHostsFile={self.path}/known", "MIDWATCH_FETCH_TIMEOUT": "20s"}

    def url(self, path):
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


def ssh_cases(box):
    if not os.access("/usr/sbin/sshd", os.X_OK):
        yield "sshd is installed", "no /usr/sbin/sshd"
        return
    server = Sshd(box.path.parent / "sshd")
    try:
        yield "sshd answers", None if server.start() else "it does not"
        yield from ssh_fetches(box, server)
    finally:
        server.stop()


def ssh_fetches(box, server):
    first = box.commit(runbooks__t_md=book('resolve(require "a")'), lib__a_lua="return 'one'\n")
    url, env = server.url(box.path), server.env()
    here = box.path.parent

    def run(*words, **more):
        return box.mid("run", "t", "--repo", url, *words, cwd=here, **{"env": env, **more})

    yield "over ssh: HEAD", expect(run(), 0, "resolved.*: one")
    yield "over ssh: what is recorded", same(box.source(), {"commit": first, "dirty": False, "repo": url,
                                                            "tree": box.git("rev-parse", "HEAD^{tree}")})
    second = box.commit(lib__a_lua="return 'two'\n")
    box.git("branch", "gone")
    yield "over ssh: a branch that moved", expect(run("--at", "main"), 0, "resolved.*: two")
    yield "over ssh: a new branch", expect(run("--at", "gone"), 0, "resolved.*: two")
    box.git("branch", "-D", "gone")
    yield "over ssh: a branch that was deleted", expect(run("--at", "gone"), 2, "no commit, tag or branch 'gone'")
    box.git("reset", "-q", "--hard", first)
    third = box.commit(lib__a_lua="return 'three'\n")
    yield "over ssh: a branch that was rewritten", expect(run("--at", "main"), 0, "resolved.*: three")
    lock = next((box.state / "git").glob("*.git")) / "refs/heads/main.lock"
    lock.touch()
    box.commit(lib__a_lua="return 'four'\n")
    yield "over ssh: a lock that a killed git left", expect(run("--at", "main"), 0, "resolved.*: four")
    yield "over ssh: lint", expect(box.mid("lint", "t", "--repo", url, "--state", box.state, cwd=here, env=env), 0)
    server.trust("stranger")
    yield "over ssh: another host key", expect(run("--at", "main"), 1, "fetch ssh://", "(?i)host key|key verification|REMOTE HOST")
    server.trust("host")
    yield "over ssh: a key that is not allowed", expect(run("--at", "main", env=server.env("stranger")), 1, "Permission denied")
    yield "over ssh: no such repository", expect(box.mid("run", "t", "--repo", server.url("/nowhere"), cwd=here, env=env), 1, "nowhere")
    server.stop()
    got = run("--at", "main")
    yield "server down: nothing old is used", expect(got, 1, "fetch ssh://.*refused", rf"--at {box.git('rev-parse', 'main')}")
    yield "server down: a full commit id needs no server", expect(run("--at", third), 0, "resolved.*: three")
    yield "server down: also one that no branch has any more", expect(run("--at", second), 0, "resolved.*: two")
    yield from ssh_hangs(run, server)


def ssh_hangs(run, server):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", server.port))
        s.listen()
        begun = time.monotonic()
        got = run("--at", "main", env={**server.env(), "MIDWATCH_FETCH_TIMEOUT": "1s"})
        took = time.monotonic() - begun
        yield "a server that never answers", expect(got, 1, "no end within its time") or (None if took < stand.patience(10) else f"{took:.1f} s")


# --- a repository behind http and https

class Http:
    """`git http-backend` behind a CGI server of this test; `slowly`: it gives a little at a time, `moved`: it sends
    everybody there, `password`: it wants one."""

    def __init__(self, root, certificate=None):
        self.root, self.slowly, self.moved, self.password, self.asked = root, False, None, None, []
        stand = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_any(self):
                stand.asked.append(self.path)
                if stand.moved or stand.password:
                    self.send_response(302 if stand.moved else 401)
                    self.send_header("Location", f"{stand.moved}{self.path}")
                    self.send_header("WWW-Authenticate", 'Basic realm="x"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                stand.answer(self)

            do_GET = do_POST = do_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        path, _, query = request.path.partition("?")
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        env = {**os.environ, **GIT, "HOME": str(self.root), "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
               "REQUEST_METHOD": request.command, "PATH_INFO": path, "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)),
               "CONTENT_TYPE": request.headers.get("Content-Type") or "", "GIT_PROTOCOL": request.headers.get("Git-Protocol") or "",
               "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding") or ""}
        got = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True).stdout
        head, _, got = got.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        request.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(got))}.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):      # whoever asked was killed
            for i in range(0, len(got), 1 << 16):
                request.wfile.write(got[i:i + (1 << 16)])
                time.sleep(0.02 if self.slowly else 0)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def http_cases(box):
    home = box.path.parent
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", home / "key", "-out", home / "cert"], check=True, capture_output=True)
    (home / "both").write_text((home / "key").read_text() + (home / "cert").read_text())
    servers = [Http(home), Http(home, home / "both")]
    try:
        yield from http_fetches(box, *servers)
        yield from http_bounds(box, servers[0])
    finally:
        for server in servers:
            server.stop()


def http_fetches(box, plain, secure):
    first = box.commit(runbooks__t_md=book('resolve(require "a")'), lib__a_lua="return 'one'\n")

    def run(server, *words, **more):
        return box.mid("run", "t", "--repo", server.url + "/r", *words, cwd=box.path.parent, **more)

    yield "over http: HEAD", expect(run(plain), 0, "resolved.*: one")
    yield "over http: what is recorded", same(box.source(), {"commit": first, "dirty": False, "repo": plain.url + "/r",
                                                             "tree": box.git("rev-parse", "HEAD^{tree}")})
    box.commit(lib__a_lua="return 'two'\n")
    yield "over http: a branch that moved", expect(run(plain, "--at", "main"), 0, "resolved.*: two")
    yield "over https: whom nobody knows", expect(run(secure), 1, "fetch https://.*certificate")
    box.git("config", "--global", "http.sslCAInfo", box.path.parent / "cert")
    yield "over https: HEAD", expect(run(secure), 0, "resolved.*: two")
    third = box.commit(lib__a_lua="return 'three'\n")
    secure.moved, before = plain.url, len(plain.asked)
    yield "over https: not by way of http", expect(run(secure), 1, "fetch https://") or \
        (None if len(plain.asked) == before else f"it asked for {plain.asked[before:]}")
    secure.moved, plain.moved, before = None, secure.url, len(secure.asked)
    yield "over http: not elsewhere", expect(run(plain), 1, "fetch http://") or \
        (None if len(secure.asked) == before else f"it asked for {secure.asked[before:]}")
    plain.moved, plain.password = None, "wanted"
    begun = time.monotonic()
    yield "over http: nobody is asked for a password", expect(run(plain), 1, "fetch http://.*askpass") or \
        (None if time.monotonic() - begun < stand.patience(10) else "it waited")
    plain.password = None
    address = plain.url.replace("127.0.0.1", "127.0.0.2") + "/r"
    plain_only = "over http nothing says who sends"
    for words in ([], ["--at", "main"], ["--at", third[:12]]):
        yield f"over http from elsewhere {' '.join(words)[:10]}", expect(box.mid("run", "t", "--repo", address, *words), 2, plain_only)


def http_bounds(box, server):
    (box.path / "big").write_bytes(os.urandom(3 << 20))
    full = box.commit(lib__a_lua="return 'four'\n")
    words = ["run", "t", "--repo", server.url + "/r"]
    server.slowly = True
    begun = time.monotonic()
    yield "more than it may be", expect(box.mid(*words, env={"MIDWATCH_FETCH_MAX": "1MiB"}), 2, "more than 1048576 bytes.*stopped",
                                        "MIDWATCH_FETCH_MAX") or (None if time.monotonic() - begun < stand.patience(10) else "it waited")
    left = list((box.state / "git").rglob("tmp_*"))
    yield "nothing of it is left", same(left, [])
    server.slowly = False
    yield "with room for it", expect(box.mid(*words, env={"MIDWATCH_FETCH_MAX": "8MiB"}), 0, "resolved.*: four")
    yield "no size", expect(box.mid(*words, env={"MIDWATCH_FETCH_MAX": "x"}), 2, "MIDWATCH_FETCH_MAX.*size")
    box.git("config", "--global", f"url.{server.url}/.insteadOf", "http://runbooks.example/")
    words[-1] = "http://runbooks.example/r"
    for at, code, pattern in (("main", 2, "over http nothing says"), (full, 0, "resolved.*: four")):
        yield f"a full commit id may come from anybody: {at[:4]}", expect(box.mid(*words, "--at", at), code, pattern)


ADDRESSES = {"http://example.invalid/x.git": "over http nothing says who sends", "http://localhost@example.invalid/x": "over http nothing",
             "http://localhost.example.invalid/x": "over http nothing", "http://127.0.0.1#@example.invalid/x": "no address",
             "http://[::1].example.invalid/x": "over http nothing", "git://example.invalid/x": "no address",
             "ext::sh -c 'touch ran'": "no address|space", "ext::touch": "not|no ", "https://user:secret@example.invalid/x": "a password",
             "ssh://-oProxyCommand=touch/x": "fetch|blocked|strange", "-x://y": "no address"}


def address_cases(box):
    box.commit(t_md=says("x"))
    for address, pattern in ADDRESSES.items():
        got = box.mid("run", "t.md", f"--repo={address}", env={"MIDWATCH_FETCH_TIMEOUT": "5s"})
        yield f"address {address}", (None if got[0] in (1, 2) else f"exit {got[0]}") or expect(got, got[0], pattern) or \
            (None if not (box.path / "ran").exists() else "it ran something")
    yield "file://", expect(box.mid("run", "t.md", "--repo", f"file://{box.path}"), 0)
    yield "a bad time limit", expect(box.mid("run", "t.md", "--repo", f"file://{box.path}", env={"MIDWATCH_FETCH_TIMEOUT": "x"}), 2,
                                     "MIDWATCH_FETCH_TIMEOUT.*duration")


def module_cases(box):
    """The module with libgit2 is beside the program, is this release's, and costs nothing where it is not needed."""
    box.commit(t_md=says("x"))
    alone = box.path.parent / "alone"
    alone.mkdir()
    shutil.copy(box.program, alone / "midwatch")
    yield "without the module: the working tree", expect(box.mid("run", "t.md", program=alone / "midwatch"), 0)
    yield "without the module: --at", expect(box.mid("run", "t.md", "--at", "main", program=alone / "midwatch"), 1, r"midwatch_git\.so")
    for name, words, loads in (("a working tree", [], False), ("a commit", ["--at", "main"], True)):
        got = box.mid("run", "t.md", *words, env={"LD_DEBUG": "libs"})
        yield f"libgit2 is {'loaded' if loads else 'not loaded'} for {name}", same("libgit2" in got[2], loads)


GROUPS = {"record": record_cases, "at": at_cases, "check": check_cases, "require": require_cases, "pinned": pinned_cases,
          "killed": killed_cases, "ssh": ssh_cases, "http": http_cases, "address": address_cases, "module": module_cases}


def cases(program, scratch, only):
    for name in [n for n in os.environ if re.match("GIT_|SSH_", n)]:
        del os.environ[name]
    for group, of in GROUPS.items():
        if only in group:
            yield from of(Repo(program, scratch / group))


if __name__ == "__main__":
    stand.main(__doc__, cases)
