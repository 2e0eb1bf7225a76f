#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A plan cannot act: every shipped runbook is planned against a production that takes changes, where each plans at least one.
All requests are recorded, programs log what they are asked, and the system calls of midwatch itself are watched.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

import kubernetes_flow
import runbooks_flow
import stand

import scene
from virtual import VirtualProduction

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIB = 1 << 30
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: demo
clusters: [ { name: demo, cluster: { server: "%s" } } ]
users: [ { name: demo, user: { token: demo-token } } ]
contexts: [ { name: demo, context: { cluster: demo, user: demo, namespace: prod } } ]
"""
# Answers what a session of the database would; an apply is what must not come.
POSTGRES = r"""#!/usr/bin/env python3
import json, pathlib, sys
here = pathlib.Path(__file__).parent
face = json.loads((here / "postgres.json").read_text())
session = {"session": "41.1", "statement": "41.1.7", "pid": 41, "user": "app", "database": "orders", "application": "app",
    "client": "10.0.0.1", "state": "active", "running_for": 900, "in_transaction_for": 900, "state_for": 900, "blocked_by": [],
    "query": "update orders"}
lock = {"blocked_session": "42.1", "blocked_pid": 42, "blocked_query": "select", "waiting_for": 300, "mode": "x", "object": "orders",
    "blocking_session": "41.1", "blocking_statement": "41.1.7", "blocking_pid": 41, "blocking_user": "app",
    "blocking_state": "active", "blocking_query": "update orders"}
reads = {"connections": {"used": 95, "max": 100, "reserved": 3, "ratio": 0.97, "active": 90, "idle": 3, "idle_in_transaction": 2,
    "blocked": 5}, "locks": [lock], "idle_in_transaction": [session], "slow_queries": [], "replicas": [], "standby": False,
    "activity": [session]}
for line in sys.stdin:
    call = json.loads(line)
    with (here / "log").open("a") as f: f.write(call["call"] + " " + call.get("verb", "") + "\n")
    answer = {"describe": {"value": face}, "configure": {"value": True}, "read": {"value": reads.get(call.get("verb"))},
        "state": {"value": {"running": True}}}.get(call["call"], {"error": "no"})
    print(json.dumps({"id": call["id"], **answer}), flush=True)
"""
SSH = """#!/bin/sh
{ echo "$*"; } >>"$(dirname "$0")/log"
case "$*" in *is_vacuumed*) exit 1;; esac
input=$(cat); echo "$input" >>"$(dirname "$0")/log"
case "$input" in *-lt*) exit 1;; *lsof*) echo 9000000000;; *journal*) echo 8000000000;; *ipcent*) echo 10;; *) echo 97;; esac
"""
WATCHED = ("execve,execveat,open,openat,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,"
           "symlinkat,truncate,ftruncate,chmod,fchmodat,rmdir,mknod,mknodat")


class Production:
    """Servers over a virtual production, and everything that they were asked."""

    def __init__(self, path, world, numbers):
        self.world, self.numbers, self.path = world, numbers, path
        path.mkdir()
        self.servers = {name: stand.Server(getattr(self, name)) for name in ("cluster", "metrics", "alerts", "gateway")}
        (path / "kubeconfig").write_text(KUBECONFIG % self.servers["cluster"].url)
        (path / "kubeconfig").chmod(0o600)
        plugins = path / "plugins"
        plugins.mkdir()
        shutil.copy(ROOT / "plugins/postgres/postgres.json", plugins)
        self.program(plugins / "postgres", POSTGRES)
        (path / "bin").mkdir()
        self.program(path / "bin" / "ssh", SSH)
        self.config()

    @staticmethod
    def program(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def config(self):
        """The example's configuration with our servers in it."""
        text = (ROOT / "runbooks/midwatch.example.yaml").read_text(encoding="utf-8")
        text = re.sub(r"kubeconfig: \S+ context: prod-eu", f"kubeconfig: {self.path}/kubeconfig, context: demo", text)
        for old, new in (("prometheus", "metrics"), ("alertmanager", "alerts"), ("gateway", "gateway")):
            text = text.replace(f"https://{old}.example.org", self.servers[new].url)
        text = re.sub(r"^    auth: .*\n", "", text, flags=re.M)
        text = text.replace(", password: db", "")
        text = re.sub(r"^secrets:.*?\n\n", "", text, flags=re.M | re.S)
        text = re.sub(r"^hosts: .*\n", "", text, flags=re.M)
        text = re.sub(r"^plugins: \S+", f"plugins: {self.path}/plugins", text, flags=re.M)
        text = re.sub(r"^state: \S+", f"state: {self.path}/state", text, flags=re.M)
        text = re.sub(r"^allow:.*?\n\n", "", text, flags=re.M | re.S)        # the runbooks' own `may` counts
        text = text.replace("/etc/midwatch/id_ed25519", f"{self.path}/id").replace("/etc/midwatch/known_hosts", f"{self.path}/id")
        (self.path / "id").write_text("x")
        (self.path / "id").chmod(0o600)
        (self.path / "midwatch.yaml").write_text(text)
        (self.path / "midwatch.yaml").chmod(0o600)

    def cluster(self, request):
        status, headers, body = self.world.production.request("cluster", request["method"], request["target"],
                                                              request["headers"], request["body"])
        return None if status is None else (status, {"Content-Type": "application/json", **(headers or {})}, body)

    def metrics(self, request):
        query = request["form"].get("query", [""])[0]
        for word, value in self.numbers.items():
            if word in query:
                result = [{"metric": {"pod": "api-1", "upstream": "u", "unit": "u", "caller": "web"}, "value": [time.time(), str(value)]}]
                return stand.answer_json({"status": "success", "data": {"resultType": "vector", "result": result}})
        status, headers, body = self.world.production.request("metrics", request["method"], request["target"],
                                                              request["headers"], request["body"])
        return status, headers, body

    @staticmethod
    def alerts(_):
        return stand.answer_json([])

    @staticmethod
    def gateway(request):
        return stand.answer_json({"healthy": True, "rps": 100} if request["method"] == "GET" else {"changed": True})

    def close(self):
        for server in self.servers.values():
            server.close()

    def asked_to_act(self):
        """What came that may change something, or None."""
        for name, server in self.servers.items():
            for r in server.requests:
                reads = r["method"] in ("GET", "HEAD") or name == "metrics" and r["path"].startswith("/api/v1/query") or (
                    name == "cluster" and (r["path"].endswith("/selfsubjectaccessreviews") or "dryRun=All" in r["query"]))
                if not reads:
                    return f"{name}: {r['method']} {r['target']}"
        for log, words in ((self.path / "plugins/log", ("apply",)), (self.path / "bin/log", ("vacuum-size", "restart", "truncate"))):
            text = log.read_text() if log.exists() else ""
            for word in words:
                if word in text:
                    return f"{log.name}: {word}"
        return None


def acted(trace, program):
    """What midwatch itself did to the machine, out of what strace saw, or None. Declared reads are programs of their own."""
    ours, allowed = set(), ("/git", "/ssh", "/postgres")
    for line in trace.splitlines():
        pid, call = line.split(None, 1)
        if call.startswith("execve") and call.endswith(("= 0", "<unfinished ...>")):
            what = call.split('"')[1]
            if what == str(program):
                ours.add(pid)
                continue
            if pid in ours or len(ours) == 0:
                return f"it ran {what}"
            if not what.endswith(allowed) and not what.endswith(("/sh", "/python3", "/env", "/cat", "/dirname")):
                return f"it ran {what}"
            continue
        if pid not in ours or "= -1" in call or call.startswith(("execve", "---", "+++", "<...")):
            continue
        harmless = call.startswith("open") and ("O_WRONLY" not in call and "O_RDWR" not in call and "O_CREAT" not in call)
        if not harmless and '"/dev/null"' not in call:
            return f"it called {call}"
    return None if ours else "strace saw nothing"


def plan(program, production, name, params, trace, form="json"):
    words = [w for p in params.split() for w in ("-p", p)]
    env = {**os.environ, "HOME": str(production.path), "PATH": f"{production.path}/bin:{os.environ['PATH']}", "MIDWATCH_STATE": ""}
    argv = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=" + WATCHED, program, "plan", f"runbooks/{name}.md", *words,
            "--config", production.path / "midwatch.yaml", "-o", form]
    return subprocess.run([str(a) for a in argv], cwd=ROOT, env=env, text=True, capture_output=True, timeout=stand.patience(90), check=False)


def fresh(fault):
    now = time.time()
    kubernetes_flow.NOW = runbooks_flow.NOW = int(now)
    production = VirtualProduction(fault, ready_at=now)
    production.world.clock = production.clock
    kubernetes_flow.furnish(production.world)
    return production


def with_canary():
    production = fresh("none")
    template = scene.template("api-service", "model-service:v1.0")
    production.world.create("deployments", kubernetes_flow.defaulted("deployments", {
        "metadata": {"name": "api-service-canary", "namespace": "prod"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "api-service"}}, "template": template}}))
    scene.settle(production.world, production.world.now)
    return kubernetes_flow.Cluster(production)


# name, parameters, the world, what metrics answer by a word of the query, an effect that must be planned
SHIPPED = [
    ("high-latency", "service=api-service", lambda: kubernetes_flow.Cluster(fresh("slow-model")), {}, "kubernetes.rollback"),
    ("high-error-rate", "service=api-service", lambda: kubernetes_flow.Cluster(fresh("slow-model")),
     {"offset 1h": 0.001, "5..": 0.2, "quality": 0.9, "upstream": 0, "http_requests": 50}, "kubernetes.rollback"),
    ("kube-pod-crash-looping", "namespace=prod pod=api-service-loops", lambda: runbooks_flow.Looping(fresh("slow-model")), {},
     "kubernetes.rollback"),
    ("kube-volume-filling-up", "namespace=prod claim=data-db-0", lambda: runbooks_flow.Filling(fresh("slow-model")), {},
     "kubernetes.resize"),
    ("queue-backlog", "queue=jobs consumers=api-service", lambda: kubernetes_flow.Cluster(fresh("none")),
     {"queue_messages": 5000, "queue_acked": 0, "queue_": 10}, "kubernetes.restart"),
    ("service-unavailable", "service=api-service", lambda: kubernetes_flow.Cluster(fresh("none")),
     {"429": 30, "http_requests": 90}, "kubernetes.scale"),
    ("slow-database", "namespace=prod", lambda: kubernetes_flow.Cluster(fresh("db")), {"db_query_seconds": 2.0},
     "postgres."),
    ("disk-filling-up", "host=web-1", lambda: kubernetes_flow.Cluster(fresh("none")), {"node_filesystem": 5, "topk": 3},
     "ssh.vacuum"),
    ("cost-spike", "service=api-service", lambda: kubernetes_flow.Cluster(fresh("slow-model")), {"[1d]": 1, "llm_": 3, "http_": 3},
     "kubernetes.rollback"),
    ("gradual-rollout", "service=api-service container=api-service image=v9.9", with_canary, {}, "kubernetes.set_image"),
]


def objects(production):
    """All that the cluster holds; its clock and its log of what was asked go on."""
    return json.dumps(production.world.production.world.objects, sort_keys=True)


def wrong_with(p, production, before, trace, program, effect):
    if p.returncode != 0 or "Sanitizer" in p.stderr:
        return f"exit {p.returncode}: {p.stderr[-600:]} {json.loads(p.stdout or '{}').get('nodes')}"
    made = json.loads(p.stdout)
    planned = [e["effect"] for e in made["effects"] if "refused" not in e]
    if not any(e.startswith(effect) for e in planned):
        return f"it planned {planned}, not {effect}: {json.dumps(made['reads'])[:1500]} {made['nodes'][-1]}"
    act = production.asked_to_act() or acted(trace.read_text(errors="replace"), program)
    if act:
        return act
    if production.world.effects() or objects(production) != before:
        return f"the world was changed: {production.world.effects()}"
    return "a state directory was made" if (production.path / "state").exists() else None


def denied(world, **rule):
    world.cluster.denied.append(rule)
    return world


def faulty(world, **rule):
    world.cluster.rules.append(rule)
    return world


def slow_model():
    return kubernetes_flow.Cluster(fresh("slow-model"))


# What the target itself says of an effect: name, the world, exit code, a pattern in the text.
TARGET = [
    ("the target permits it, and its dry run accepts it", slow_model, 0, "the target permits it\n +its dry run accepts it"),
    ("a target without permission", lambda: denied(slow_model(), verb="patch", resource="deployments"), 3,
     r"REFUSED: error: .*no role allows it"),
    ("an admission refuses the dry run", lambda: faulty(slow_model(), method="PATCH", do="status", code=403, reason="Forbidden",
                                                        times=99, dry_run=True, path="deployments/api-service$"), 3,
     r"its dry run REFUSES it: .*403|its dry run REFUSES it"),
    ("its dry run does not answer", lambda: faulty(slow_model(), method="PATCH", do="status", code=500, reason="InternalError",
                                                   times=99, dry_run=True, path="deployments/api-service$"), 0, r"its dry run: .*500"),
    ("the access review does not answer", lambda: faulty(slow_model(), method="POST", do="status", code=500, reason="InternalError",
                                                         times=99, path="selfsubject"), 0,
     r"whether the target permits it: whether rollback is permitted cannot be told"),
]


def target_says(program, scratch, i, make, code, says):
    production = Production(scratch / f"target{i}", make(), {})
    before = objects(production)
    try:
        p = plan(program, production, "high-latency", "service=api-service", scratch / f"target{i}.trace", "text")
        wrong = stand.expect((p.returncode, p.stdout, p.stderr), code, says)
        return (wrong + "\n" + p.stdout if wrong else None) or production.asked_to_act() or (
            "the world was changed" if objects(production) != before else None)
    finally:
        production.close()


def cases(program, scratch, only):
    shipped = sorted(p.stem for p in (ROOT / "runbooks").glob("*.md") if p.with_suffix(".test.yaml").exists())
    yield "every shipped runbook is here", None if shipped == sorted(c[0] for c in SHIPPED) else str(shipped)
    for name, params, make, numbers, effect in SHIPPED:
        if only not in name:
            continue
        production = Production(scratch / name, make(), numbers)
        before, trace = objects(production), scratch / f"{name}.trace"
        try:
            p = plan(program, production, name, params, trace)
            yield f"{name} changes nothing", wrong_with(p, production, before, trace, program, effect)
        finally:
            production.close()
    for i, (name, make, code, says) in enumerate(TARGET):
        if only in name:
            yield name, target_says(program, scratch, i, make, code, says)


if __name__ == "__main__":
    stand.main(__doc__, cases)
