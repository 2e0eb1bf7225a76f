# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests: the package's programs, started here on free ports with directories of their own, and ended by
their process."""
import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "flow"))
sys.dont_write_bytecode = True


def program(name):
    found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name}: not here; ./dev e2e installs it")
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(argv, log, **more):
    """A child that ends with the block."""
    with open(log, "ab") as out:
        p = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=subprocess.STDOUT, **more)
    try:
        yield p
    finally:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def wait_until(what, condition, within=20):
    """Waits for a condition that may raise meanwhile; says what did not come."""
    end, last = time.monotonic() + within, None
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not come within {within} s ({last})")


def get(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read()


@contextlib.contextmanager
def prometheus(directory, config, rules="", web=None):
    """A Prometheus; gives its URL. web: the text of a web.config.file."""
    port = free_port()
    directory.mkdir(parents=True)
    (directory / "rules.yaml").write_text(rules or "groups: []\n")
    (directory / "prometheus.yaml").write_text(config + f"rule_files: ['{directory}/rules.yaml']\n")
    argv = [program("prometheus"), f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    if web:
        (directory / "web.yaml").write_text(web)
        argv.append(f"--web.config.file={directory}/web.yaml")
    with process(argv, directory / "log", cwd=directory):
        def ready():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0 and (web or get(f"http://127.0.0.1:{port}/-/ready"))
        wait_until("Prometheus", ready)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def alertmanager(directory):
    """An Alertmanager without receivers and without a cluster; gives its URL."""
    port = free_port()
    directory.mkdir(parents=True)
    (directory / "am.yaml").write_text("route: { receiver: none }\nreceivers: [{ name: none }]\n")
    argv = [program("prometheus-alertmanager"), f"--config.file={directory}/am.yaml", f"--storage.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with process(argv, directory / "log", cwd=directory):
        wait_until("Alertmanager", lambda: get(f"http://127.0.0.1:{port}/-/ready"))
        yield f"http://127.0.0.1:{port}"
