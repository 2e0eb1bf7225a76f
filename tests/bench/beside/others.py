# SPDX-License-Identifier: Apache-2.0
"""Restate's server and DBOS with PostgreSQL, as beside.py measures them: their packages as they come, with their defaults,
on loopback, on the same disk. Each has one(steps), many(runs, steps), sleeping(runs) and interrupted(pause_ms)."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
sys.dont_write_bytecode = True

import postgres_e2e         # noqa: E402  pylint: disable=wrong-import-position
import servers              # noqa: E402  pylint: disable=wrong-import-position

HOUR_MS = 3600 * 1000


def rss(pid):
    """Bytes of memory of a process and of all that it started."""
    own = 0
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            own = int(line.split()[1]) * 1024
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own + sum(rss(child) for child in children)


def wait_for_text(path, text, within=60):
    servers.wait_until(f"{text!r} in {path.name}", lambda: path.exists() and text in path.read_text(encoding="utf-8"), within)


class Restate:
    name = "Restate"

    def __init__(self, modules, scratch):
        self.modules, self.scratch, self.ports = modules, scratch, [servers.free_port() for _ in range(4)]
        self.ran = scratch / "restate.ran"
        self.server = self.service = None

    def url(self, path, admin=False):
        return f"http://127.0.0.1:{self.ports[1 if admin else 0]}/{path}"

    def ask(self, path, body=None, admin=False, timeout=300):
        data = None if body is None else json.dumps(body).encode()
        question = urllib.request.Request(self.url(path, admin), data, {"content-type": "application/json"} if data else {})
        with urllib.request.urlopen(question, timeout=timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def start(self):
        ingress, admin, node, service = self.ports
        found = self.modules / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
        settings = {"INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}", "ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                    "BIND_ADDRESS": f"127.0.0.1:{node}", "ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
                    "DISABLE_TELEMETRY": "true", "LISTEN_MODE": "tcp"}
        env = {**os.environ, **{f"RESTATE_{k}": v for k, v in settings.items()}}
        log = open(self.scratch / "restate.log", "ab")      # pylint: disable=consider-using-with
        self.server = subprocess.Popen([found, "--no-logo", "--base-dir", self.scratch / "restate"], env=env, stdout=log, stderr=log)
        self.service = subprocess.Popen(["node", self.modules / "restate.mjs", str(service), str(self.ran)], cwd=self.modules, stdout=log,
                                        stderr=log)
        log.close()

    def register(self):
        def known():
            try:
                self.ask("deployments", {"uri": f"http://127.0.0.1:{self.ports[3]}"}, admin=True)
                return self.ask("steps/run", 1) == 0
            except urllib.error.HTTPError:
                return False
        servers.wait_until("Restate", known, 60)

    def stop(self):
        for p in (self.server, self.service):
            p.kill()
            p.wait()

    @contextlib.contextmanager
    def up(self):
        self.start()
        try:
            self.register()
            yield self
        finally:
            self.stop()

    def one(self, steps):
        begun = time.perf_counter()
        self.ask("steps/run", steps)
        return steps / (time.perf_counter() - begun)

    def many(self, runs, steps):
        with concurrent.futures.ThreadPoolExecutor(runs) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda _: self.ask("steps/run", steps), range(runs)))
            return runs * steps / (time.perf_counter() - begun)

    def sleeping(self, runs):
        """Bytes of one run that sleeps for an hour; what the server and its service grew by."""
        before = rss(self.server.pid) + rss(self.service.pid)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: self.ask("steps/sleep/send", HOUR_MS), range(runs)))
        time.sleep(5)
        return (rss(self.server.pid) + rss(self.service.pid) - before) / runs

    def interrupted(self, pause_ms):
        """Seconds from the restart after kill -9 in the middle of a step to the end of its run, and how often the step ran."""
        run = self.ask("steps/cut/send", pause_ms)["invocationId"]
        wait_for_text(self.ran, "ran")
        self.stop()
        begun = time.perf_counter()
        self.start()

        def ended():
            try:
                return self.ask(f"restate/invocation/{run}/attach") == 3
            except urllib.error.HTTPError:
                return False
        servers.wait_until("the run", ended, 120)
        return time.perf_counter() - begun, len(self.ran.read_text(encoding="ascii").split())


class Dbos:
    name = "DBOS"

    def __init__(self, modules, scratch):
        self.modules, self.scratch, self.ran = modules, scratch, scratch / "dbos.ran"
        self.database = postgres_e2e.Server(scratch / "pg", fsync="on")

    @contextlib.contextmanager
    def up(self):
        self.scratch.chmod(0o755)
        self.database.init()
        self.database.start()
        try:
            self.database.tool("createdb", "-h", self.database.socket_dir, "-p", self.database.port, "-U", "postgres", "beside")
            yield self
        finally:
            self.database.stop()

    def start(self, *words):
        url = f"postgresql://postgres@localhost/beside?host={self.database.socket_dir}&port={self.database.port}"
        return subprocess.Popen(["node", self.modules / "dbos.mjs", url, *map(str, words)], cwd=self.modules, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)

    @staticmethod
    def said(p):
        for line in p.stdout:
            if line.startswith("beside "):
                return json.loads(line[len("beside "):])
        raise RuntimeError(f"dbos.mjs ended with {p.wait()}")

    def one(self, steps):
        with self.start("one", steps) as p:
            return steps / self.said(p)["seconds"]

    def many(self, runs, steps):
        with self.start("many", runs, steps) as p:
            return runs * steps / self.said(p)["seconds"]

    def sleeping(self, runs):
        """As of Restate; the process, and PostgreSQL's own (its shared buffers are not counted)."""
        empty = self.start("sleep", 0)
        self.said(empty)
        before = rss(empty.pid) + rss(self.database.process.pid)
        empty.kill()
        empty.wait()
        p = self.start("sleep", runs)
        try:
            self.said(p)
            time.sleep(5)
            return (rss(p.pid) + rss(self.database.process.pid) - before) / runs
        finally:
            p.kill()
            p.wait()
            self.database.sql("DROP DATABASE beside (FORCE)")
            self.database.sql("CREATE DATABASE beside")

    def interrupted(self, pause_ms):
        p = self.start("cut", self.ran, pause_ms)
        wait_for_text(self.ran, "ran")
        p.send_signal(signal.SIGKILL)
        p.wait()
        begun = time.perf_counter()
        with self.start("recover", self.ran) as again:
            self.said(again)
        return time.perf_counter() - begun, len(self.ran.read_text(encoding="ascii").split())
