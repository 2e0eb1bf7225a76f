# SPDX-License-Identifier: Apache-2.0
"""What flows share: their arguments, how long they wait, a server that answers what a case says, a directory with a
configuration and a runbook, and the loop that prints the results."""
import argparse
import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse


@functools.cache
def sanitizer(build):
    """The library that watches over the program of `./dev asan`, in a list; [] of another build."""
    linked = subprocess.run(["ldd", build / "midwatch"], text=True, capture_output=True, check=False).stdout
    return re.findall(r"=> (\S*/libasan\.so\S*)", linked)


class Pace:
    """How much slower the program under test may be than the one that people have."""
    factor = 1

    @classmethod
    def of(cls, build):
        cls.factor = 10 if sanitizer(build) else 1


def arguments(doc, **more):
    """--build as a path, --only, and `more` with their defaults."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build", type=lambda word: pathlib.Path(word).resolve())
    parser.add_argument("--only", default="")
    for name, default in more.items():
        parser.add_argument("--" + name, default=default, type=type(default))
    args = parser.parse_args()
    Pace.of(args.build)
    return args


def patience(seconds):
    """How long this build may take for what the ordinary one does within so many seconds."""
    return seconds * Pace.factor


def wait_for(condition, within=20):
    """Whether it comes to hold in time."""
    end = time.monotonic() + patience(within)
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def preload(build, name, **more):
    """The environment in which the program loads this library of the build before all others, but for the sanitizer's."""
    return {"LD_PRELOAD": ":".join([*sanitizer(build), str(build / name)]), **more}


class Server:
    """An HTTP server on a free port. `answer(request)` gives (status, headers, body), None to hang up, or a number of
    seconds to be silent. Every request is kept."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        stand = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                path, _, query = self.path.partition("?")
                request = {"method": self.command, "path": path, "query": query, "target": self.path,
                           "headers": {k.lower(): v for k, v in self.headers.items()}, "body": self.rfile.read(length)}
                text = query if self.command != "POST" or b"=" not in request["body"] else request["body"].decode()
                request["form"] = urllib.parse.parse_qs(text, keep_blank_values=True)
                stand.requests.append(request)
                got = stand.answer(request)
                if isinstance(got, (int, float)):
                    time.sleep(got)
                    got = None
                if got is None:
                    self.close_connection = True
                    return
                status, headers, body = got
                body = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Clients that hang up are what some cases are about."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def answer_json(value, status=200, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value)


class Box:
    """A directory with a configuration, runbooks and a journal."""

    def __init__(self, program, path, config, uses):
        self.program, self.path, self.uses, self.runs = program, path, uses, 0
        path.mkdir(parents=True)
        (path / "midwatch.yaml").write_text(config)

    def command(self, *words, env=None):
        p = subprocess.run([str(self.program), *map(str, words)], cwd=self.path, text=True, capture_output=True, timeout=patience(90),
                           check=False, stdin=subprocess.DEVNULL, errors="replace",
                           env={**os.environ, "MIDWATCH_STATE": "", "HOME": str(self.path), **(env or {})})
        return p.returncode, p.stdout, p.stderr

    def run(self, code, front="", *words, env=None):
        """Runs a runbook with this code in a journal of its own: (exit code, out, err)."""
        self.runs += 1
        text = f"---\nrunbook: t\nsummary: a test\nuses: {self.uses}\n{front}---\n# T\n\n```lua\n{code}\n```\n"
        (self.path / "t.md").write_text(text)
        self.state = self.path / f"state{self.runs}"
        return self.command("run", "t.md", "--state", self.state, *words, env=env)

    def rows(self, run=1):
        return json.loads(self.command("report", run, "-o", "json", "--state", self.state)[1])["rows"]

    def kinds(self):
        return [row["kind"] for row in self.rows()]


def told(text):
    """What a run said of itself, without the rest of its report."""
    lines = [line for line in text.splitlines() if line.startswith((">", "- ")) or "error" in line]
    return " | ".join(lines)[-700:] or text[-700:]


def expect(got, code, *patterns):
    """What is wrong with (code, out, err), or None."""
    text = got[1] + got[2]
    if "Sanitizer" in text:
        return text[-3000:]
    if got[0] != code:
        return f"exit {got[0]} instead of {code}: {told(text)}"
    for pattern in patterns:
        if not re.search(pattern, text):
            return f"no /{pattern}/ in: {told(text)}"
    return None


def say(name, wrong):
    print(f"ok - {name}" if wrong is None else f"not ok - {name}: {wrong}", flush=True)
    return wrong is None


def main(doc, cases, **more):
    """Runs `cases(program, scratch, only, **more)`, which yields (name, None or what is wrong)."""
    args = arguments(doc, **more)
    more = {name: getattr(args, name) for name in more}
    with tempfile.TemporaryDirectory(prefix="midwatch-flow-") as scratch:
        said = [say(*case) for case in cases(args.build / "midwatch", pathlib.Path(scratch), args.only, **more)]
    sys.exit(0 if all(said) else 1)


def play(doc, make, cases_of):
    """Runs `cases_of(cases)`, where cases are what `make(build, scratch, only)` gives; they say and count themselves."""
    args = arguments(doc)
    with tempfile.TemporaryDirectory(prefix="midwatch-flow-") as scratch:
        cases = make(args.build, pathlib.Path(scratch), args.only)
        cases_of(cases)
    sys.exit(1 if cases.failed else 0)
