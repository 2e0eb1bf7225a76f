#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program against an API server on a socket: kubeconfigs whole, merged and broken, certificates, programs that
give credentials, rotated tokens, impersonation, and answers that say when to ask again.

Prints `ok - name` or `not ok - name: why` per case."""
import base64
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "demo"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import scene  # noqa: E402
import stand  # noqa: E402

BOOK = """---
runbook: case
summary: a case
owner: me
severity: P3
uses: { kubernetes: prod-eu }
may: []
---
# Case
```lua
local o = observe { n = kubernetes.deployment("prod", "api-service"):replicas() }
if o.n ~= 3 then refuse "not three" end
no_action "three replicas"
```
"""


class Api:
    """The stand-in on a port of its own. A client certificate with the name `midwatch` is as good as the token."""

    def __init__(self, tls=None):
        self.world = scene.build("none", time.time)
        self.seen, self.first = [], []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                api.seen.append([(k.lower(), v) for k, v in self.headers.items()])
                cert = self.connection.getpeercert() if tls else None
                if cert and any(("commonName", "midwatch") in pair for pair in cert["subject"]):
                    headers["authorization"] = f"Bearer {api.world.token}"
                if api.first:
                    status, more, text = api.first.pop(0)
                else:
                    status, more, text = api.world.handle(self.command, url.path, dict(urllib.parse.parse_qsl(url.query)),
                                                          headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def openssl(directory, *args):
    subprocess.run(["openssl", *map(str, args)], cwd=directory, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def certificates(d):
    """ca.crt, server.{crt,key}, client.{crt,key}, other.{crt,key} (of another authority)."""
    for ca in ("ca", "ca2"):
        openssl(d, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj",
                f"/CN={ca}",
                "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    for name, subject, ca in (("server", "/CN=api", "ca"), ("client", "/CN=midwatch", "ca"), ("other", "/CN=midwatch", "ca2")):
        openssl(d, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout",
                f"{name}.key",
                "-out", f"{name}.csr")
        (d / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:api.test\n")
        openssl(d, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", 2,
                "-extfile", "ext", "-out", f"{name}.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(d / "server.crt", d / "server.key")
    context.load_verify_locations(d / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def config(server, user, cluster=None, **more):
    """A kubeconfig as a document."""
    return {"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server, **(cluster or {})}}], "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}], **more}


class Cases:
    def __init__(self, build, scratch, only):
        self.build, self.dir, self.only, self.number, self.failed = build, scratch, only, 0, 0
        (scratch / "case.md").write_text(BOOK)

    def run(self, kubeconfig, settings="", env=None):
        """(exit code, what was said). kubeconfig: a document, a text, or a value of the setting."""
        self.number += 1
        path = self.dir / f"config{self.number}"
        if isinstance(kubeconfig, dict):
            path.write_text(json.dumps(kubeconfig))
        elif "\n" in kubeconfig or kubeconfig == "":
            path.write_text(kubeconfig)
        else:
            path = kubeconfig
        (self.dir / "midwatch.yaml").write_text(
            f"instances:\n  prod-eu: {{ plugin: kubernetes, kubeconfig: \"{path}\"{settings} }}\n")
        p = subprocess.run([self.build / "midwatch", "run", self.dir / "case.md", "--config", self.dir / "midwatch.yaml",
                            "--state",
                            self.dir / f"state{self.number}"], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                            timeout=stand.patience(60),
                           check=False, env={**os.environ, **(env or {})})
        return p.returncode, (p.stdout + p.stderr).replace("\\_", "_")

    def good(self, name, kubeconfig, settings="", env=None, look=None):
        if self.only not in name:
            return
        code, said = self.run(kubeconfig, settings, env)
        self.say(name,
                 None if code == 0 and "three replicas" in said and (look is None or look()) else f"exit {code}: {said[-700:]}")

    def bad(self, name, why, kubeconfig, settings="", env=None):
        if self.only not in name:
            return
        code, said = self.run(kubeconfig, settings, env)
        self.say("broken: " + name, None if code == 3 and why in said else f"exit {code}, wanted '{why}': {said[-700:]}")

    def say(self, name, wrong):
        self.failed += wrong is not None
        print(f"ok - {name}" if wrong is None else f"not ok - {name}: {wrong}", flush=True)


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def broken(cases, plain):
    """Every way in which a kubeconfig can be wrong has one error that says where."""
    ok, url, d = {"token": plain.world.token}, plain.url, cases.dir
    whole = config(url, ok)

    def without(**more):
        return {**whole, **more}

    cases.bad("there is none", "there is no kubeconfig: none of", f"{d}/none:{d}/nothing")
    cases.bad("the only file is missing", "none", f"{d}/none")
    cases.bad("empty", "is empty", "")
    cases.bad("no YAML", f"{d}/config", "clusters: [\n")
    cases.bad("a list", "is no kubeconfig: not a map", "- a\n- b\n")
    cases.bad("a text", "is no kubeconfig: not a map", "just words\n\n")
    cases.bad("another kind", "its kind is Secret", without(kind="Secret"))
    cases.bad("clusters are a text", "clusters must be a list", without(clusters="k"))
    cases.bad("a cluster without a name", "clusters[1] has no name", without(clusters=[{"cluster": {}}]))
    cases.bad("a user that is a text", "user must be a map", without(users=[{"name": "u", "user": "me"}]))
    cases.bad("no current-context", "has no current-context", without(**{"current-context": ""}))
    cases.bad("an unknown context", "has no context 'd' (there is: c)", without(**{"current-context": "d"}))
    cases.bad("the instance names an unknown context", "has no context 'prod'", whole, ", context: prod")
    cases.bad("a context without cluster", "context 'c' has no cluster", without(contexts=[{"name": "c", "context": {}}]))
    cases.bad("an unknown cluster", "has no cluster 'x'", without(contexts=[{"name": "c", "context": {"cluster": "x"}}]))
    cases.bad("an unknown user", "has no user 'x'", without(contexts=[{"name": "c", "context": {"cluster": "k", "user": "x"}}]))
    cases.bad("no server", "cluster 'k' has no server", without(clusters=[{"name": "k", "cluster": {}}]))
    cases.bad("a server that is no address", "must be a https:// address", config("127.0.0.1:6443", ok))
    cases.bad("proxy-url", "proxy-url is not supported", config(url, ok, {"proxy-url": "http://p"}))
    cases.bad("insecure is a text", "must be true or false", config(url, ok, {"insecure-skip-tls-verify": "yes"}))
    cases.bad("insecure beside a CA", "beside a certificate-authority",
              config(url, ok, {"insecure-skip-tls-verify": True, "certificate-authority": f"{d}/ca.crt"}))
    cases.bad("the CA is no base64", "certificate-authority-data is not base64", config(url, ok,
                                                                                        {"certificate-authority-data": "%%%"}))
    cases.bad("the CA is no PEM", "holds no PEM block", config(url, ok, {"certificate-authority-data": "aGVsbG8="}))
    cases.bad("the CA file is missing", "there is no file", config(url, ok, {"certificate-authority": "gone.crt"}))
    cases.bad("a certificate without key", "belong together", config(url, {"client-certificate": f"{d}/client.crt"}))
    cases.bad("a token over http", "is not sent over http://", config("http://192.0.2.1", ok))
    cases.bad("a user name and password", "accepts a user name and password", config(url, {"username": "u", "password": "p"}))
    cases.bad("auth-provider", "auth-provider is gone", config(url, {"auth-provider": {"name": "gcp"}}))
    cases.bad("a token that is a number", "the token must be a text", config(url, {"token": 5}))
    cases.bad("a token file that is missing", "is missing or empty", config(url, {"tokenFile": "none"}))
    cases.bad("as-groups without as", "as-... without as", config(url, {**ok, "as-groups": ["g"]}))
    cases.bad("a wrong token", "HTTP 401", config(url, {"token": "wrong"}))
    cases.bad("the server refuses connections", "Connection refused", config("http://127.0.0.1:9", ok))


def executed(cases, plain):
    """Credentials from programs."""
    d, url, token = cases.dir, plain.url, plain.world.token
    version = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}

    def user(command, **more):
        return {"exec": {"apiVersion": version, "command": str(command), "interactiveMode": "Never", **more}}

    def printing(name, document):
        return script(d / name, f"cat <<'X'\n{document if isinstance(document, str) else json.dumps(document)}\nX\n")

    def allowed(path):
        return f', credential_command: "{path}"'

    good = printing("good.sh", credential)
    cases.good("exec: a token", config(url, user(good)), allowed(good))
    cases.good("exec: beside the kubeconfig", config(url, user("./good.sh")), allowed("./good.sh"))
    info = script(d / "info.sh", f"test \"$ROLE\" = admin && test -n \"$HOME\" && "
                  f"echo \"$KUBERNETES_EXEC_INFO\" | grep -q '\"server\":\"{url}\"' && cat {d}/credential.json\n")
    (d / "credential.json").write_text(json.dumps(credential))
    cases.good("exec: environment and cluster info", config(url, user(info, env=[{"name": "ROLE", "value": "admin"}],
                                                                     provideClusterInfo=True)), allowed(info))
    counted = script(d / "counted.sh", f"echo x >>{d}/count; [ $(wc -l <{d}/count) -gt 1 ] || "
                     f"{{ sed s/{token}/stale/ {d}/credential.json; exit; }}; cat {d}/credential.json\n")
    cases.good("exec: a 401 asks the program again, once", config(url, user(counted)), allowed(counted),
               look=lambda: (d / "count").read_text() == "x\nx\n")
    cases.bad("exec: not allowed", f"credential_command: {good}", config(url, user(good)))
    cases.bad("exec: another one is allowed", "credential_command:", config(url, user(good)), allowed("aws"))
    cases.bad("exec: no command", "exec has no command", config(url, {"exec": {"apiVersion": version}}))
    cases.bad("exec: an old version", "is not client.authentication.k8s.io/v1", config(url, {"exec": {
        "apiVersion": "client.authentication.k8s.io/v1alpha1", "command": str(good)}}), allowed(good))
    cases.bad("exec: needs a terminal", "needs a terminal", config(url, user(good, interactiveMode="Always")), allowed(good))
    cases.bad("exec: no such program", "cannot be run", config(url, user("/no/such", installHint="install it")),
              allowed("/no/such"))
    failing = script(d / "failing.sh", "echo no session >&2; exit 4\n")
    cases.bad("exec: it fails", "ended with 4: no session", config(url, user(failing)), allowed(failing))
    for name, what, why in (("words", "hello", "printed no ExecCredential"), ("empty", {**credential, "status": {}},
                                                                              "gave neither"),
                            ("version", {**credential, "apiVersion": version + "beta1"}, "speaks")):
        path = printing(name + ".sh", what)
        cases.bad("exec: it prints " + name, why, config(url, user(path)), allowed(path))


def every(cases):
    d = cases.dir
    plain, tls = Api(), Api(certificates(d))
    token = {"token": plain.world.token}

    def data(name):
        return base64.b64encode((d / name).read_bytes()).decode()

    cases.good("a token", config(plain.url, token))
    cases.good("TLS with a CA file beside the kubeconfig", config(tls.url, token, {"certificate-authority": "ca.crt"}))
    cases.good("TLS with the CA as data", config(tls.url, token, {"certificate-authority-data": data("ca.crt")}))
    cases.good("TLS under another name", config(tls.url, token, {"certificate-authority": "ca.crt",
                                                                 "tls-server-name": "api.test"}))
    cases.good("TLS unchecked", config(tls.url, token, {"insecure-skip-tls-verify": True}))
    cases.good("a client certificate", config(tls.url, {"client-certificate": "client.crt",
                                                        "client-key-data": data("client.key")},
                                              {"certificate-authority": "ca.crt"}))
    cases.bad("a client certificate of another authority", "n is unknown (error): GET https://", config(tls.url, {
        "client-certificate": "other.crt", "client-key": "other.key"}, {"certificate-authority": "ca.crt"}))
    cases.bad("the server's certificate is of another authority", "certificate",
              config(tls.url, token, {"certificate-authority": "ca2.crt"}))
    cases.bad("the server's certificate is unknown to the system", "certificate", config(tls.url, token))
    cases.bad("the server has another name", "certificate", config(tls.url, token, {
        "certificate-authority": "ca.crt", "tls-server-name": "other.test"}))
    (d / "token").write_text(plain.world.token + "\n")
    cases.good("a token file", config(plain.url, {"tokenFile": "token", "token": "old"}))
    cases.good("a Config without a kind, in YAML", json.dumps({**config(plain.url, token), "kind": None}) + "\n")
    first = config(plain.url, {"token": "wrong"}, contexts=[], users=[], **{"current-context": ""})
    second = config("http://127.0.0.1:9", token)
    (d / "one").write_text(json.dumps(first))
    (d / "two").write_text(json.dumps(second))
    cases.good("a merged list: the first file that has a name wins", f"{d}/one:{d}/missing:{d}/two")
    as_user = {**token, "as": "admin", "as-uid": "7", "as-groups": ["ops", "dev"], "as-user-extra": {"Team/x": ["a"]}}
    plain.seen.clear()
    cases.good("impersonation", config(plain.url, as_user), look=lambda: all(pair in plain.seen[-1] for pair in (
        ("impersonate-user", "admin"), ("impersonate-uid", "7"), ("impersonate-group", "ops"), ("impersonate-group", "dev"),
        ("impersonate-extra-team%2fx", "a"))))
    busy = (429, {"Retry-After": "1"}, b"{}")
    plain.first[:] = [busy, (503, {"Retry-After": "0"}, b"later")]
    cases.good("429 and 503 with Retry-After are asked again", config(plain.url, token), look=lambda: not plain.first)
    plain.first[:] = [(503, {"Retry-After": "99"}, b"much later")]
    cases.bad("an answer that says to come back much later", "HTTP 503: much later", config(plain.url, token))
    plain.first[:] = [(200, {}, b"<html>login</html>")]
    cases.bad("HTML", "HTTP 200: no JSON", config(plain.url, token))
    plain.first.clear()
    broken(cases, plain)
    executed(cases, plain)
    env = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443", "KUBECONFIG": "", "HOME": str(d)}
    (d / "midwatch.yaml").write_text("instances:\n  prod-eu: { plugin: kubernetes }\n")
    p = subprocess.run([cases.build / "midwatch", "run", d / "case.md", "--config", d / "midwatch.yaml", "--state",
                        d / "pod"], text=True,
                       capture_output=True, stdin=subprocess.DEVNULL, timeout=stand.patience(60), check=False, env={**os.environ, **env})
    cases.say("broken: a pod without its CA", None if "ca.crt is missing" in p.stdout + p.stderr else p.stdout + p.stderr)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
