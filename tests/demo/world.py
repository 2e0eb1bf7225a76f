# SPDX-License-Identifier: Apache-2.0
"""A small production in one command: cluster, model service, users and metrics, with one thing broken.

    python3 tests/demo/world.py --dir DIR --fault slow-model

Waits until the trouble shows in the metrics, then writes DIR/ready; prints one line for each thing
that happens. Ends, with everything it started, on SIGTERM, SIGINT, when its parent is gone, or after
ten minutes at most.
"""
import argparse
import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import handover  # noqa: E402
import http11  # noqa: E402
import scene  # noqa: E402
from apiserver import ApiServer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 600
VISIBLE_WITHIN_S = 60
BURST = {"db": 64, "capacity": 64}
P95 = 'histogram_quantile(0.95, sum by (le) (rate({}_bucket{{service="{}"}}[10s])))'
SAMPLES = 'sum(increase(http_request_duration_seconds_count{{service="{}"}}[10s]))'


class Production:
    """The parts, and what was last said about them."""

    def __init__(self, args):
        self.args, self.start = args, time.monotonic()
        self.world = scene.build(args.fault, time.time, args.token)
        self.sockets = {name: http11.free_socket() for name in ("cluster", "internal", "service", "metrics")}
        self.ports = {name: sock.getsockname()[1] for name, sock in self.sockets.items()}
        self.children, self.servers, self.said = {}, [], {"log": 0, "traffic": None, "p95": None}
        self.ending = asyncio.Event()
        self.status = 0

    def say(self, text):
        print(f"{time.monotonic() - self.start:6.1f}s  {text}", flush=True)

    def fail(self, text):
        self.say(f"failed: {text}")
        self.status = 1
        self.ending.set()

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def authority(self):
        """The TLS context of the API and the CA file; makes both with openssl for --tls."""
        args = self.args
        if args.tls:
            args.cert, args.key = (os.path.join(args.dir, n) for n in ("tls.crt", "tls.key"))
            args.ca = args.cert
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                            "/CN=demo", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", args.key, "-out",
                            args.cert], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        if not args.cert:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        return context

    async def spawn(self, name, *argv, fds=()):
        """Starts a part; it ends when its standard input, held by this process, ends."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-B", os.path.join(HERE, f"{name}.py"), *map(str, argv), stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, pass_fds=fds, start_new_session=True)
        self.children[name] = child
        asyncio.create_task(self.mourn(name, child))

    async def mourn(self, name, child):
        code = await child.wait()
        if self.ending.is_set():
            return
        if name == "load" and code == 0:
            await self.users(0)
        else:
            self.fail(f"{name} ended with {code}")

    async def users(self, burst):
        await self.spawn("load", "--port", self.ports["service"], "--burst", burst)

    async def begin(self):
        args, tls = self.args, self.authority()
        api = ApiServer(self.world, scene.NAMESPACE, scene.SERVICE, scene.DATABASE)
        self.servers = await api.serve(self.sockets["cluster"], self.sockets["internal"], tls)
        self.say(f"cluster api   {'https' if tls else 'http'}://127.0.0.1:{self.ports['cluster']}")
        descriptor = self.sockets["service"].fileno()
        await self.spawn("service", "--fd", descriptor, "--cluster", self.ports["internal"], "--name", scene.SERVICE,
                         "--fault", args.fault, fds=(descriptor,))
        self.say(f"model service {self.url('service')}")
        await self.until_serving()
        if args.fault != "metrics-down":
            descriptor = self.sockets["metrics"].fileno()
            await self.spawn("metrics", "--fd", descriptor, "--target", self.ports["service"], fds=(descriptor,))
        self.say(f"metrics       {self.url('metrics')}{' (down)' if args.fault == 'metrics-down' else ''}")
        await self.users(BURST.get(args.fault, 0))
        server = f"{'https' if tls else 'http'}://127.0.0.1:{self.ports['cluster']}"
        path = handover.kubeconfig(args.dir, server, args.token, scene.NAMESPACE, args.ca if tls else None)
        handover.config(args.dir, path, self.url("metrics"))
        handover.alert(args.dir, scene.SERVICE, scene.NAMESPACE, self.url("metrics"), time.time())
        handover.put(os.path.join(args.dir, "ports.json"), json.dumps(self.ports) + "\n")

    async def until_serving(self):
        for _ in range(200):
            try:
                if (await http11.request(self.ports["service"], "/predict", timeout_s=5))[0] == 200:
                    return
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.05)
        raise RuntimeError("the model service does not answer")

    async def number(self, query):
        """The value of a query with one result, or None."""
        try:
            status, body = await http11.request(
                self.ports["metrics"], "/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout_s=2)
            result = json.loads(body)["data"]["result"] if status == 200 else []
            value = float(result[0]["value"][1]) if len(result) == 1 else None
        except (OSError, asyncio.TimeoutError, ValueError):
            return None
        return None if value != value else value

    async def trouble(self):
        """Whether the fault shows, and the sentence about it."""
        if self.args.fault == "metrics-down":
            return True, "the metrics endpoint refuses connections"
        p95, query, infer = [await self.number(P95.format(name, scene.SERVICE)) for name in
                             ("http_request_duration_seconds", "db_query_seconds", "model_inference_seconds")]
        busy = await self.number(f'avg(service_busy_ratio{{service="{scene.SERVICE}"}})')
        samples = await self.number(SAMPLES.format(scene.SERVICE))
        if None in (p95, query, infer, busy, samples) or samples < 20:
            return False, "no data yet"
        shown = {"slow-model": p95 > 2 and infer > 1, "cut": p95 > 2 and infer > 1, "db": p95 > 2 and query > 0.5,
                 "capacity": p95 > 2 and busy > 0.9, "none": p95 < 0.5}[self.args.fault]
        return shown, f"p95 {p95:.2f} s (inference {infer:.2f} s, database {query:.2f} s, busy {busy:.0%})"

    async def until_visible(self):
        limit, sentence = time.monotonic() + VISIBLE_WITHIN_S, ""
        while time.monotonic() < limit and not self.ending.is_set():
            shown, sentence = await self.trouble()
            if shown:
                self.say(f"ready: fault {self.args.fault}: {sentence}")
                handover.put(os.path.join(self.args.dir, "ready"), sentence + "\n")
                return
            await asyncio.sleep(0.5)
        if not self.ending.is_set():
            self.fail(f"fault {self.args.fault} did not show in the metrics: {sentence}")

    async def watch(self, parent):
        """Says what changes, and notices that the parent is gone."""
        limit, turn = self.start + min(self.args.seconds, SECONDS_MAX), 0
        while not self.ending.is_set():
            if os.getppid() != parent:
                self.ending.set()
            if time.monotonic() > limit:
                self.say("time is over")
                self.ending.set()
            self.tell_cluster()
            if turn % 5 == 0 and self.args.fault != "metrics-down":
                await self.tell_latency()
            turn += 1
            await asyncio.sleep(0.2)

    def tell_cluster(self):
        traffic = self.world.traffic(scene.NAMESPACE, scene.SERVICE, scene.DATABASE)
        for entry in self.world.log[self.said["log"]:]:
            what = ", ".join(f"{p}: {short(a)} -> {short(b)}" for p, a, b in entry["changed"][:4]) or "nothing changed"
            how = "dry run" if entry["dry_run"] else what if entry["status"] < 300 else "refused"
            cut = "" if entry["answered"] else " (connection dropped without an answer)"
            self.say(f"cluster: {entry['method']} {entry['object'] or entry['path']} by {entry['manager']}: "
                     f"{entry['status']} {how}{cut}")
        self.said["log"] = len(self.world.log)
        if traffic != self.said["traffic"]:
            self.said["traffic"] = traffic
            pods = ", ".join(f"{n} x {tag}" for tag, n in sorted(traffic["releases"].items())) or "no pod"
            self.say(f"serving: {pods}; read replicas: {traffic['database']}")

    async def tell_latency(self):
        p95 = await self.number(P95.format("http_request_duration_seconds", scene.SERVICE))
        level = None if p95 is None else "above 2 s" if p95 > 2 else "under 500 ms" if p95 < 0.5 else "up to 2 s"
        if level != self.said["p95"]:
            self.said["p95"] = level
            self.say("latency: no data" if p95 is None else f"latency: p95 {p95:.2f} s, {level}")

    async def end(self):
        self.ending.set()
        for server in self.servers:
            server.close()
        for child in self.children.values():
            if child.returncode is None:
                child.stdin.close()
                child.terminate()
        for child in self.children.values():
            try:
                await asyncio.wait_for(child.wait(), 3)
            except asyncio.TimeoutError:
                child.kill()
        try:
            os.unlink(os.path.join(self.args.dir, "ready"))
        except FileNotFoundError:
            pass


def short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text.rpartition("/")[2] if isinstance(value, str) and "/" in text else text[:60]


async def main(args, parent):
    os.makedirs(args.dir, exist_ok=True)
    production = Production(args)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, production.ending.set)
    watching = asyncio.create_task(production.watch(parent))
    try:
        await production.begin()
        await production.until_visible()
        await production.ending.wait()
    except (OSError, RuntimeError, subprocess.SubprocessError) as bad:
        production.fail(str(bad))
    finally:
        await production.end()
        await watching
    return production.status


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dir", required=True, help="where the files for the operator go")
    parser.add_argument("--fault", default="slow-model", choices=scene.FAULTS)
    parser.add_argument("--token", default="demo-token")
    parser.add_argument("--seconds", type=float, default=SECONDS_MAX, help="ends by itself after this time")
    parser.add_argument("--tls", action="store_true", help="the cluster API by https, with a CA made by openssl")
    parser.add_argument("--cert", help="certificate file of the cluster API")
    parser.add_argument("--key", help="its key file")
    parser.add_argument("--ca", help="the CA file that goes into the kubeconfig")
    return parser.parse_args()


if __name__ == "__main__":
    PARENT = os.getppid()
    sys.exit(asyncio.run(main(arguments(), PARENT)))
