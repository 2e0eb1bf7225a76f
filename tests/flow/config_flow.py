#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the operator's configuration decides: which effects may be sent, which servers may be talked to, what starts a
runbook; and midwatch doctor, which says so.

Prints `ok - name` or `not ok - name: why` per case."""
import fcntl
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "demo"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import handover  # noqa: E402
import scene  # noqa: E402
import stand  # noqa: E402

PLUGIN = """
return plugin "web" {
  settings = { url = "string", token = "secret" },
  probe = function()
    local a = http { url = instance.settings.url .. "/version",
      auth = instance.settings.token and { kind = "bearer", secret = instance.settings.token } }
    if a.status ~= 200 then unknown("error", "HTTP " .. a.status .. " " .. a.body) end
    return "version " .. a.body
  end,
  permitted = function(effect, target) return target == "page/home", effect .. " on " .. target .. " is forbidden" end,
  reads = { version = { returns = "string", read = function() return http { url = instance.settings.url .. "/version" }.body end } },
  effects = { set = { args = { "page" }, params = { page = "string" }, class = "ensure", target = "page/{{page}}", undo = "not needed",
    want = function(a) return { page = a.page } end, apply = function() return {} end } },
}
"""
CONFIG = """
plugins: plugins
instances:
  sh: {{ plugin: shell }}
  web: {{ plugin: web, url: "{url}" }}
commands:
  look: {{ argv: [test, -e, "{{{{file}}}}"], params: {{ file: {{ type: string, match: "[a-z]+" }} }}, read: true }}
  touch: {{ argv: [touch, "{{{{file}}}}"], params: {{ file: {{ type: string, match: "[a-z]+" }} }},
           effect: {{ class: ensure, target: "file/{{{{file}}}}", check: look, undo: not needed }} }}
  gone: {{ argv: [touch, "{{{{file}}}}"], params: {{ file: {{ type: string, match: "[a-z]+" }} }}, effect: {{ target: "file/{{{{file}}}}" }} }}
"""
BOOK = """---
runbook: {name}
summary: a test
uses: {{ shell: sh, web: web }}
triggers: [{{ alert: {{ alertname: Down }} }}]
may: [{{ effect: shell.touch, target: "file/*", at_most: 3 }}, {{ effect: shell.gone, target: "file/*", at_most: 3 }}, {may}]
---
# T

```lua
{code}
```
"""


class Version(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):  # pylint: disable=invalid-name
        body = b"1.2.3 \x1b[31m" + self.headers.get("Authorization", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Box:
    def __init__(self, program, path):
        self.program, self.path, self.runs = program, path, 0
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Version)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        (path / "plugins").mkdir(parents=True)
        (path / "runbooks").mkdir()
        (path / "plugins/web.lua").write_text(PLUGIN)

    def config(self, more="", text=None):
        (self.path / "midwatch.yaml").write_text((CONFIG.format(url=self.url) if text is None else text) + more)

    def book(self, code="resolve 'x'", may='{ effect: web.set, target: "page/home" }', name="t"):
        (self.path / f"runbooks/{name}.md").write_text(BOOK.format(code=code, may=may, name=name))

    def run(self, *words, **env):
        p = subprocess.run([self.program, *words], cwd=self.path, text=True, capture_output=True, timeout=stand.patience(60), check=False,
                           env={"PATH": os.environ["PATH"], "HOME": str(self.path), **env})
        return p.returncode, p.stdout + p.stderr

    def doctor(self, *words, **env):
        return self.run("doctor", "--state", "s", *words, **env)


def expect(got, code, *patterns):
    if got[0] != code:
        return f"exit {got[0]} instead of {code}: {got[1][-800:]}"
    missing = [p for p in patterns if not re.search(p, got[1], re.M)]
    return f"no {missing} in: {got[1][-1500:]}" if missing else None


def touch(allow, code, *patterns, verb="touch"):
    """Runs an effect under an allow-list; it must have been sent exactly if the run is resolved."""
    def case(box):
        box.config(allow)
        box.book(f'remedy("touch", shell.{verb} {{ file = "made" }}, {{ verify = function() return true end, '
                 'when = function() return true end, within = "2s" }) resolve "done"')
        (box.path / "made").unlink(missing_ok=True)
        box.runs += 1
        wrong = expect(box.run("run", "t", "--state", f"s{box.runs}"), code, *patterns)
        sent = (box.path / "made").exists()
        return wrong or (None if sent == (code == 0) else f"sent: {sent}")
    return case


def talks(more, *patterns):
    def case(box):
        box.config(more)
        box.book("resolve(observe(web.version()))")
        return expect(box.run("run", "t", "--state", "s"), 3 if "none of" in patterns[0] else 0, *patterns)
    return case


def lints(more, *patterns):
    def case(box):
        box.config(more)
        box.book()
        return expect(box.run("lint", "runbooks/t.md"), 0, *patterns)
    return case


def doctors(code, *patterns, more="", text=None, **env):
    def case(box):
        box.config(more, text)
        box.book()
        return expect(box.doctor(**env), code, *patterns)
    return case


def doctor_json(box):
    box.config()
    box.book()
    code, text = box.doctor("-o", "json")
    found = json.loads(text)
    levels = [f["level"] for f in found["findings"]]
    right = all(levels.count(k) == found[k] for k in ("ok", "warn", "fail")) and set(found["findings"][0]) == {"area", "level", "text"}
    return None if right and code == (2 if found["fail"] else 0) else text


def doctor_secret(box):
    """Where a secret comes from, never what it is, be it echoed by a probe."""
    canary = "c4nary-of-the-doctor"
    (box.path / "tok").write_text(canary)
    (box.path / "tok").chmod(0o600)
    url = box.url
    secrets = f"""secrets:
  tok: {{ file: tok, hosts: ["{url}"] }}
  asked: {{ command: [cat, tok], hosts: ["{url}"], programs: [psql] }}
  broken: {{ command: [sh, -c, "echo it is locked >&2; exit 4"], hosts: [x] }}
  absent: {{ env: NOT_THERE, hosts: [x] }}
"""
    box.config(secrets, CONFIG.format(url=url).replace("plugin: web,", "plugin: web, token: tok,"))
    got = box.doctor()
    wrong = expect(got, 2, rf"^ok    secret     tok from file .*/tok, 20 bytes, for {url}", r"^ok    secret     asked from command cat.*psql",
                   r"^fail  secret     broken from command sh: it ended with exit 4: it is locked",
                   r"^fail  secret     absent from environment NOT_THERE: .*is not set",
                   r"^ok    instance   web \(web\): version 1\.2\.3 \\x1b\[31mBearer \*\*\*$")
    return wrong or ("it shows the secret" if canary in got[1] else None)


def doctor_owner(box):
    """Somebody else has the journal; the doctor neither takes nor disturbs the lock."""
    box.config()
    box.book()
    box.run("run", "t", "--state", "s")
    with open(box.path / "s/journal.lock", "r+", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(0)
        f.write("4242 midwatch serve\n")
        f.truncate()
        f.flush()
        return expect(box.doctor(), 0, r"^ok    journal    in use by process 4242 midwatch serve$", r"^ok    journal    0 open runs")


def doctor_state(box):
    box.config()
    (box.path / "file").write_text("")
    (box.path / "open").mkdir(exist_ok=True)
    (box.path / "open").chmod(0o755)
    return expect(box.run("doctor", "--state", "file/s"), 2, r"^fail  state      file/s cannot be written") or \
        expect(box.run("doctor", "--state", "open"), 0, r"^warn  state      open can be read or entered by others") or \
        expect(box.run("doctor", "--state", "new/deep"), 0, r"^ok    journal    none yet") or \
        (None if not (box.path / "new").exists() else "the doctor made a directory")


def doctor_halt(box):
    box.config()
    box.run("halt", "a test", "--state", "s")
    wrong = expect(box.doctor(), 0, r"^warn  halt       midwatch halt is on")
    box.run("halt", "--release", "--state", "s")
    return wrong


def doctor_books(box):
    box.config('allow: [{ effect: "shell.*", target: "*:file/*" }, { effect: web.set, target: "web:page/*" }]\n'
               'routes: [{ alert: { alertname: Down }, runbook: t }, { chat: x, runbook: nothing }, { accept: front_matter }]\n')
    box.book()
    box.book(may='{ effect: web.set, target: "page/secret" }', name="other")
    (box.path / "runbooks/broken.md").write_text("---\nrunbok: broken\n---\n")
    (box.path / "runbooks/README.md").write_text("# For people\n")
    got = box.doctor()
    wrong = expect(got, 2, r"^fail  runbook    runbooks/broken\.md:2:1.*did you mean 'runbook'",
                   r"^ok    permitted  t: shell\.touch on sh:file/\* \(\./midwatch\.yaml:\d+\)", r"^ok    permitted  t: web\.set on web:page/home",
                   r"^fail  permitted  other: web refuses set on page/secret: set on page/secret is forbidden",
                   r'^ok    route      alert \{"alertname": "Down"\} would start t', r"^ok    route      the 1 trigger that other offers would",
                   r"^fail  route      .*names the runbook 'nothing'")
    wrong = wrong or (f"a text for people is taken for a runbook: {got[1]}" if "README" in got[1] else None)
    for name in ("broken", "other", "README"):
        (box.path / f"runbooks/{name}.md").unlink()
    return wrong


class Api(http.server.BaseHTTPRequestHandler):
    """The stand-in cluster on a socket."""

    def log_message(self, *_):
        pass

    def answer(self):
        at = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers, body = self.server.world.handle(self.command, at.path, dict(urllib.parse.parse_qsl(at.query)), {
            k.lower(): v for k, v in self.headers.items()}, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = answer


def doctor_cluster(box):
    """What the cluster is, and what its access review says of the shipped runbook; nothing is written."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.world = scene.build("none", time.time)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = handover.kubeconfig(box.path, f"http://127.0.0.1:{server.server_port}", "demo-token", "prod")
    box.config(text=f"instances: {{ prod-eu: {{ plugin: kubernetes, kubeconfig: {kubeconfig} }}, "
                    "metrics: { plugin: prometheus, url: 'http://127.0.0.1:1' } }\n")
    (box.path / "runbooks/t.md").unlink(missing_ok=True)
    book = box.path / "runbooks/high-latency.md"
    book.write_text((ROOT / "runbooks/high-latency.md").read_text())
    before = len(server.world.log)
    patterns = (r"^ok    instance   prod-eu \(kubernetes\): Kubernetes v1\.33\.0 at http", r"^ok    permitted  .*kubernetes\.rollback on prod-eu:")
    got = box.doctor()
    wrong = expect(got, got[0], *patterns) or ("refused: " + got[1] if "refuses" in got[1] else None)
    server.world.denied.append({"verb": "patch", "resource": "deployments"})
    wrong = wrong or expect(box.doctor(), 2, r"^fail  permitted  high-latency: prod-eu refuses rollback on deployment/prod/api-service: no role")
    server.shutdown()
    book.unlink()
    box.book()
    return wrong or (None if len(server.world.log) == before else f"written: {server.world.log[before:]}")


CASES = {
    "no allow: the may decides": touch("", 0, "outcome: resolved"),
    "allowed by the operator": touch('allow: [{ effect: shell.touch, target: "sh:file/*" }]\n', 0, "outcome: resolved"),
    "an empty allow permits nothing": touch("allow: []\n", 4, "not_allowed", r"allow in \./midwatch\.yaml has no .*sh:file/made"),
    "allowed on another instance": touch('allow: [{ effect: shell.touch, target: "web:file/*" }]\n', 4, "not_allowed"),
    "allowed for another effect": touch('allow: [{ effect: shell.other, target: "sh:file/*" }]\n', 4, "not_allowed"),
    "a bound of the operator": touch('allow: [{ effect: shell.touch, target: "sh:*/*", file: { one_of: [else] } }]\n', 4,
                                     r"'file' is not one of those in allow"),
    "irreversible, nobody to ask": touch('allow: [{ effect: shell.gone, target: "sh:file/*" }]\n', 4, "needs_approval", verb="gone"),
    "irreversible, allowed in advance": touch('allow: [{ effect: shell.gone, target: "sh:file/*", approval: none }]\n', 0,
                                              "outcome: resolved", verb="gone"),
    "hosts: any without": talks("", "1.2.3"),
    "hosts: listed": talks("hosts: [\"127.0.0.*\"]\n", "1.2.3"),
    "hosts: not listed": talks("hosts: [example.org]\n", "is none of the hosts of the configuration"),
    "lint names a route": lints("routes: [{ alert: { alertname: X }, runbook: t }]\n",
                                r"runbooks/t\.md: would be started by the route in \./midwatch\.yaml:\d+$", "nothing to complain about"),
    "lint names an accepted offer": lints("routes: [{ accept: front_matter, runbook: \"t*\" }]\n", "would be started by the route"),
    "doctor": doctors(0, r"^ok    config     \./midwatch\.yaml \(in the working directory\): 2 instances, 3 commands",
                      r"^ok    config     no allow", r"^ok    instance   web \(web\): version 1\.2\.3 \\x1b",
                      r"^ok    permitted  t: web\.set on web:page/home \(its own may\)", r"^ok    state      s can be written",
                      r"^(ok|warn)\s+clock ", r"^ok    program    git is there"),
    "doctor: no file": lambda box: expect(subprocess_without(box), 0, "^warn  config     no midwatch.yaml"),
    "doctor: nobody answers": doctors(2, r"^fail  instance   web \(web\): .*refused", text="plugins: plugins\ninstances: "
                                      '{ sh: { plugin: shell }, web: { plugin: web, url: "http://127.0.0.1:1" } }\n'),
    "doctor: bad settings": doctors(2, r"^fail  instance   web \(web\): .*midwatch\.yaml:2:34: .*has no setting 'urll' \(did you mean 'url'",
                                    text="plugins: plugins\ninstances: { web: { plugin: web, urll: x } }\n"),
    "doctor: no such secret": doctors(2, r"midwatch\.yaml:2:34: .*token: there is no secret 'tok'", text="plugins: plugins\ninstances: "
                                      "{ web: { plugin: web, token: tok } }\n"),
    "doctor: no such plugin": doctors(2, r"^fail  instance   x \(shel\).*did you mean 'shell'", text="instances: { x: { plugin: shel } }\n"),
    "doctor: a bad file": doctors(2, r"midwatch\.yaml:1:1: unknown key 'instanzes' \(did you mean 'instances'", text="instanzes: {}\n"),
    "doctor: a missing program": doctors(2, r"^fail  program    no-such-program, of the command c, is missing",
                                         text="commands: { c: { argv: [no-such-program], read: true } }\n"),
    "doctor: the environment's file": doctors(0, r"\(named by \$MIDWATCH_CONFIG\)", MIDWATCH_CONFIG="midwatch.yaml"),
    "doctor: runbooks": doctor_books,
    "doctor: secrets": doctor_secret,
    "doctor: a cluster": doctor_cluster,
    "doctor: the journal's owner": doctor_owner,
    "doctor: the state directory": doctor_state,
    "doctor: halted": doctor_halt,
    "doctor: -o json": doctor_json,
}


def subprocess_without(box):
    (box.path / "midwatch.yaml").unlink(missing_ok=True)
    return box.doctor()


def cases(program, scratch, only):
    box = Box(program, scratch / "box")
    for name, case in CASES.items():
        if only in name:
            yield name, case(box)


if __name__ == "__main__":
    stand.main(__doc__, cases)
