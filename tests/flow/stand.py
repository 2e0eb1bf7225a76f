# SPDX-License-Identifier: Apache-2.0
"""What flows of plugins share: a server that answers what a case says, a directory with a configuration and a runbook,
and the loop that prints the results."""
import argparse
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
        p = subprocess.run([str(self.program), *map(str, words)], cwd=self.path, text=True, capture_output=True, timeout=90,
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


def main(doc, cases):
    """Runs `cases(program, scratch)`, which yields (name, None or what is wrong)."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="midwatch-flow-") as scratch:
        for name, wrong in cases(pathlib.Path(args.build).resolve() / "midwatch", pathlib.Path(scratch), args.only):
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - {name}{': ' + wrong if wrong else ''}", flush=True)
    sys.exit(1 if failed else 0)
