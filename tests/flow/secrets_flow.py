#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Canaries: a secret in every place that it could leak to. A server echoes what it was sent in every form, children
print their environment, and afterwards no byte of the journal, the reports or what was printed holds it in any form.

Prints `ok - name` or `not ok - name: why` per case."""
import base64
import hashlib
import hmac
import html
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.parse

import stand

CANARY = 'c4n&ry/+s3cret"<v1>=z9?'
NEXT = "n3xt/Canary+4fter=Rotation"
PLUGIN = """
local function get(path, auth)
  local a = http { url = instance.settings.url .. path, auth = auth }
  return a.status .. " " .. json.encode(a.headers) .. " " .. a.body
end
local function read(auth) return { args = { "path" }, params = { path = "string" }, returns = "string",
  read = function(a) return get(a.path, auth()) end } end
return plugin "echo" {
  settings = { url = "string", token = "secret", login = "auth", other = "string" },
  reads = {
    bearer = read(function() return { kind = "bearer", secret = instance.settings.token } end),
    basic = read(function() return instance.settings.login end),
    header = read(function() return { kind = "header", header = "X-Api-Key", prefix = "Key=", secret = instance.settings.token } end),
    hmac = read(function() return { kind = "hmac", header = "X-Signature", prefix = "sha256=", secret = instance.settings.token } end),
    other = read(function() return { kind = "bearer", secret = instance.settings.other } end),
    cut = { args = { "path" }, params = { path = "string" }, returns = "string", read = function(a)
      local r = http { url = instance.settings.url .. a.path, auth = { kind = "bearer", secret = instance.settings.token } }
      return string.sub(r.body, 1, string.find(r.body, "Bearer ", 1, true) + 16)
    end },
    fails = { args = { "path" }, params = { path = "string" }, returns = "string",
      read = function(a) unknown("error", get(a.path, { kind = "bearer", secret = instance.settings.token })) end },
  },
}
"""
CONFIG = """
plugins: plugins
instances:
  e: {{ plugin: echo, url: "{url}", token: tok, login: {{ kind: basic, user: ann, secret: tok }}, other: loose }}
  far: {{ plugin: echo, url: "{other}", token: tok }}
  cmd: {{ plugin: echo, url: "{url}", token: fromcmd }}
  env: {{ plugin: echo, url: "{url}", token: fromenv }}
  cred: {{ plugin: echo, url: "{url}", token: fromcred }}
  bad: {{ plugin: echo, url: "{url}", token: broken }}
  sh: {{ plugin: shell }}
secrets:
  tok: {{ file: tok, hosts: ["{url}"], programs: [sh, cat] }}
  loose: {{ file: tok, hosts: ["{url}"] }}
  fromcmd: {{ command: [sh, -c, "echo run >> asked; cat tok; echo $MARK > mark"], environment: {{ MARK: given }}, hosts: ["{url}"] }}
  fromenv: {{ env: CANARY_ENV, hosts: ["{url}"] }}
  fromcred: {{ credential: cred, hosts: ["{url}"] }}
  broken: {{ {broken}, hosts: ["{url}"] }}
commands:
  hash: {{ argv: [sh, -c, "printf %s \\"$PW\\" | sha256sum > hash; env; tr '\\\\0' ' ' < /proc/$$/cmdline; echo $PW >&2"],
           env: {{ PW: {{ secret: tok }} }}, read: true }}
  stdin: {{ argv: [cat], input: {{ secret: tok }}, read: true }}
  plain: {{ argv: [env], read: true }}
  leak: {{ argv: [cat, tok], read: true }}
  flood: {{ argv: [sh, -c, "head -c 1048566 /dev/zero | tr '\\\\0' x; cat tok; cat tok"], read: true }}
"""


def forms(secret):
    """What no output may hold: the secret, and every part of it that an encoding shows."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(secret, safe="").encode(),
             urllib.parse.quote_plus(secret).encode(), json.dumps(secret)[1:-1].encode(), html.escape(secret).encode(), raw[:8],
             json.dumps(secret)[1:-1].replace("/", "\\/").encode()}
    for before in range(3):
        text = base64.b64encode(b"x" * before + raw)
        found.add(text[(before * 8 + 5) // 6:(before + len(raw)) * 8 // 6])
    found.add(base64.b64encode(b"ann:" + raw))
    return {f for f in found if len(f) >= 6}


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it got: /plain, /base64, /url, ... and /want401, which accepts only what is in server.accepts."""

    def log_message(self, *_):
        pass

    def do_GET(self):  # pylint: disable=invalid-name
        got = "\n".join(f"{k}: {v}" for k, v in self.headers.items())
        self.server.seen.append(got)
        auth = self.headers.get("Authorization", "") or self.headers.get("X-Api-Key", "")
        value = auth.split(" ", 1)[-1]
        encode = {"/plain": got, "/base64": base64.b64encode(got.encode()).decode(), "/url": urllib.parse.quote(got, safe=""),
                  "/hex": got.encode().hex(), "/json": json.dumps({"auth": got}).replace("/", "\\/"), "/html": html.escape(got),
                  "/decoded": base64.b64decode(value).decode() if auth.startswith("Basic ") else value}
        status, body = (500 if self.path == "/500" else 200), encode.get(self.path, got)
        if self.path == "/401" and self.server.accepts not in auth:
            status = 401
        self.send_response(302 if self.path == "/redirect" else status)
        if self.path == "/redirect":
            self.send_header("Location", self.server.elsewhere + "/plain")
        if self.path == "/header":
            self.send_header("X-Echo", auth)
            self.send_header("WWW-Authenticate", f'Bearer realm="{urllib.parse.quote(auth)}"')
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.seen, server.accepts, server.elsewhere = [], CANARY, ""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


class Box:
    """A directory with a configuration, the secret's file and a journal."""

    def __init__(self, program, path, broken="file: none"):
        self.program, self.path, self.printed = program, path, b""
        self.server, self.url = serve()
        self.second, self.other = serve()
        self.server.elsewhere = self.other
        (path / "plugins").mkdir(parents=True)
        (path / "plugins/echo.lua").write_text(PLUGIN)
        self.secret("tok", CANARY + "\n")
        self.secret("cred", CANARY)
        self.config(broken)

    def config(self, broken):
        (self.path / "midwatch.yaml").write_text(CONFIG.format(url=self.url, other=self.other, broken=broken))

    def secret(self, name, text, mode=0o600):
        file = self.path / name
        file.write_text(text)
        file.chmod(mode)

    def run(self, code, uses="echo: e, shell: sh", **more):
        (self.path / "t.md").write_text(f"---\nrunbook: t\nsummary: a test\nuses: {{ {uses} }}\n---\n# T\n\n```lua\n{code}\n```\n")
        env = {**os.environ, "MIDWATCH_STATE": "", "HOME": str(self.path), "CANARY_ENV": CANARY,
               "CREDENTIALS_DIRECTORY": str(self.path)}
        p = subprocess.run([self.program, "run", "t.md", "--state", "s", *more.get("words", ())], cwd=self.path, text=True,
                           capture_output=True, timeout=stand.patience(60), check=False, env=env)
        self.printed += (p.stdout + p.stderr).encode()
        return p.returncode, p.stdout + p.stderr

    def show(self, *words):
        p = subprocess.run([self.program, *words, "--state", "s"], cwd=self.path, capture_output=True, timeout=stand.patience(60), check=False)
        self.printed += p.stdout + p.stderr
        return p.stdout.decode()

    def leaks(self):
        """Where the canaries are, though they must not be."""
        for run in range(1, 99):
            if not self.show("show", str(run)):
                break
            self.show("report", str(run))
            for form in ("json", "html"):
                self.show("report", str(run), "-o", form)
        return self.found()

    def found(self):
        places = {"what was printed": self.printed}
        for file in (self.path / "s").rglob("*"):
            if file.is_file():
                places[str(file.relative_to(self.path))] = file.read_bytes()
        return [f"{where}: {form!r}" for where, data in places.items() for secret in (CANARY, NEXT) for form in forms(secret)
                if form in data]


def says(code, *texts):
    """Runs one read, lets the run end with what it gave; what is wrong, or None."""
    def case(box, **more):
        got, text = box.run(code, **more)
        missing = [t for t in texts if t not in text]
        return f"exit {got}, no {missing} in: {text[-900:]}" if missing else None
    return case


def note(read):
    return f"note(observe({read})) resolve(observe({read}))"


def echo(read, *sent):
    """The server got what was sent, and the run shows *** instead."""
    def case(box):
        wrong = says(note(read), "***")(box)
        missing = [s for s in sent if not any(s in seen for seen in box.server.seen)]
        return wrong or (f"the server did not get {missing}: {box.server.seen[-1:]}" if missing else None)
    return case


def child(box):
    wrong = says("note(observe(shell.hash())) resolve(observe(shell.hash()))", "PW=***")(box)
    got = (box.path / "hash").read_text().split()[0]
    return wrong or (None if got == hashlib.sha256(CANARY.encode()).hexdigest() else "the child did not get the secret")


def others(box):
    got, text = box.run("resolve(observe(shell.plain()))")
    return text if got or "CANARY_ENV" in text or "PW=" in text else None


def redirected(box):
    wrong = says(note('echo.bearer("/redirect")'), "302")(box)
    return wrong or (f"the other server got {box.second.seen}" if box.second.seen else None)


def rotated(box):
    """The file changes between two requests: the 401 of the first one is answered with the new value."""
    box.server.accepts = CANARY
    renew = threading.Timer(0.7, lambda: (box.secret("new", NEXT), os.replace(box.path / "new", box.path / "tok"),
                                          setattr(box.server, "accepts", NEXT)))
    renew.start()
    got, text = box.run('note(observe(echo.bearer("/401"))) sleep "1200ms" resolve(observe(echo.bearer("/401")))')
    renew.join()
    sent = [CANARY in s for s in box.server.seen] + [NEXT in s for s in box.server.seen]
    return None if got == 0 and "= 401 " not in text and sent == [True, True, False, False, False, True] else f"{sent} {text}"


def planted(box):
    """The search would find it."""
    file = box.path / "s" / "planted"
    for form in forms(CANARY):
        file.write_bytes(b"xx" + form + b"yy")
        if not box.found():
            return f"{form!r} was not found"
    file.unlink()
    return None


def from_command(box):
    wrong = says(note('echo.bearer("/plain")'), "***")(box, uses="echo: cmd")
    asked, mark = (box.path / "asked").read_text().count("run"), (box.path / "mark").read_text()
    return wrong or (f"the command ran {asked} times, MARK is {mark}" if asked != 1 or mark != "given\n" else None)


def at_once(box):
    """Eight reads at the same time wait for one command."""
    (box.path / "asked").write_text("")
    code = "observe { " + ", ".join(f'r{i} = echo.bearer("/p{i}")' for i in range(8)) + " } resolve 'all eight'"
    got, text = box.run(code, uses="echo: cmd")
    asked = (box.path / "asked").read_text().count("run")
    return None if got == 0 and asked == 1 else f"exit {got}, the command ran {asked} times: {text[-500:]}"


def signature(box):
    wrong = says(note('echo.hmac("/plain")'), "sha256=")(box)
    want = "sha256=" + hmac.new(CANARY.encode(), b"", hashlib.sha256).hexdigest()
    return wrong or (None if any(want in s for s in box.server.seen) else "no such signature")


def looked_into(box):
    """While a run with a secret sleeps: its command line, and whether anybody may read its memory or leave a core."""
    env = {**os.environ, "CANARY_ENV": CANARY, "HOME": str(box.path)}
    (box.path / "t.md").write_text('---\nrunbook: t\nsummary: a test\nuses: { echo: e }\n---\n# T\n\n```lua\n'
                                   'observe(echo.bearer("/plain")) sleep "2s" resolve "x"\n```\n')
    with subprocess.Popen([box.program, "run", "t.md", "--state", "s"], cwd=box.path, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        stand.wait_for(lambda: any("Bearer" in s for s in box.server.seen))
        time.sleep(0.2)
        line = pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()
        limits = pathlib.Path(f"/proc/{p.pid}/limits").read_text()
        box.printed += p.communicate(timeout=stand.patience(20))[0]
    core = next(x for x in limits.split("\n") if x.startswith("Max core")).split()[4]
    return None if core == "0" and CANARY.encode() not in line else f"core limit {core}, {line!r}"


def refused(broken, *texts, mode=0o600, content=CANARY):
    def case(box):
        box.secret("broken", content, mode)
        box.config(broken)
        try:
            return says(note('echo.bearer("/plain")'), *texts)(box, uses="echo: bad")
        finally:
            box.config("file: none")
    return case


def far(box):
    wrong = says(note('echo.bearer("/plain")'), "the secret is not for", box.other)(box, uses="echo: far")
    return wrong or (f"the other server got {box.second.seen}" if box.second.seen else None)


CASES = {
    "bearer": echo('echo.bearer("/plain")', "Bearer " + CANARY),
    "echoed in base64": echo('echo.bearer("/base64")'),
    "echoed URL-encoded": echo('echo.bearer("/url")'),
    "echoed in hex": echo('echo.bearer("/hex")'),
    "echoed in JSON": echo('echo.bearer("/json")'),
    "echoed in HTML": echo('echo.bearer("/html")'),
    "echoed in a header": echo('echo.bearer("/header")'),
    "echoed by an error": echo('echo.bearer("/500")'),
    "echoed in an unknown observation": says('resolve(observe(echo.fails("/500")))', "***"),
    "a plugin that cuts the text": echo('echo.cut("/plain")'),
    "basic": echo('echo.basic("/plain")', "Basic " + base64.b64encode(b"ann:" + CANARY.encode()).decode()),
    "basic, decoded by the server": echo('echo.basic("/decoded")'),
    "basic, URL-encoded": echo('echo.basic("/url")'),
    "header": echo('echo.header("/plain")', "Key=" + CANARY),
    "hmac": signature,
    "a redirect is not followed": redirected,
    "another server": far,
    "the environment of a child": child,
    "the environment of other children": others,
    "on stdin": says(note("shell.stdin()"), "***"),
    "a command prints the file": says(note("shell.leak()"), "***"),
    "cut off in the middle": says("resolve(observe(shell.flood()))", "printed more"),
    "from a command": from_command,
    "one command for all who wait": at_once,
    "from the environment": lambda box: says(note('echo.bearer("/plain")'), "***")(box, uses="echo: env"),
    "from a credential": lambda box: says(note('echo.bearer("/plain")'), "***")(box, uses="echo: cred"),
    "not given to the instance": says(note('echo.other("/plain")'), "secret 'loose' is not given to the instance 'e'"),
    "-o json": lambda box: says(note('echo.bearer("/plain")'), "***")(box, words=("-o", "json")),
    "cores and command lines": looked_into,
    "a file that anybody may read": refused("file: broken", "anybody may read it (chmod go-w,o-r)", mode=0o644),
    "a file that the group may write": refused("file: broken", "others may write it", mode=0o660),
    "an empty file": refused("file: broken", "secret 'broken' is empty", content=" \n"),
    "a short secret": refused("file: broken", "shorter than 6 bytes", content="12345"),
    "no file": refused("file: nowhere", "nowhere: No such file"),
    "a directory": refused("file: plugins", "not a regular file"),
    "a line break inside": refused("file: broken", "control character in the value", content=CANARY + "\nX-Evil: 1"),
    "a variable that is not set": refused("env: NOT_SET_AT_ALL", "$NOT_SET_AT_ALL is not set"),
    "a command that fails": refused('command: [sh, -c, "cat tok; echo locked >&2; exit 3"]', "sh ended with exit 3: locked"),
    "a command that hangs": refused('command: [sleep, "9"], timeout: 200ms', "sleep took longer than it may"),
    "a command that prints nothing": refused('command: ["true"]', "secret 'broken' is empty"),
    "a command that floods": refused("command: [head, -c, \"99999\", /dev/zero]", "longer than"),
    "a command that is not there": refused("command: [no-such-program-here]", "run no-such-program-here: "),
    "a newer secret after 401": rotated,
}


def cases(program, scratch, only):
    box = Box(program, scratch / "box")
    last = {"no canary anywhere": lambda b: "; ".join(b.leaks()) or None, "a planted canary is found": planted}
    for name, case in {**CASES, **last}.items():
        if only in name or name in last:
            box.server.seen.clear()
            yield name, case(box)


if __name__ == "__main__":
    stand.main(__doc__, cases)
