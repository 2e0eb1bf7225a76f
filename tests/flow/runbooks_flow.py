#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped Kubernetes runbooks and those of corpus/, run for real against the stand-in of the cluster and of Prometheus, in
virtual time: the engine, the plugins and the journal are the real ones; a pod really loops, and a volume really fills up.

Prints `ok - name` or `not ok - name: why` per case."""
import copy
import json
import os
import re
import subprocess
import urllib.parse

import kubernetes_flow
import stand
from kubernetes_flow import CRASHING, NOW, Cluster, rule

import crash
import fleet
from controllers import NEVER

GIB = 1 << 30
DEPLOYMENT = "/apis/apps/v1/namespaces/prod/deployments/api-service"
CLAIM = "/api/v1/namespaces/prod/persistentvolumeclaims/data-db-0"
POD = "/api/v1/namespaces/prod/pods/api-service-loops"
SCRAPE_EVERY_S, STORAGE_TAKES_S = 10, 60
PANIC = "starting\npanic: no such table: sessions\n"


def image(world):
    return world.get("deployments", "prod", "api-service")["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]


class Looping(Cluster):
    """The pods of api-service loop, or wait for something else; those of release v1.0 do not, if `heals`."""

    def __init__(self, fresh, rules=(), heals=True, said=PANIC, owner=None, waiting="CrashLoopBackOff", short=False):
        super().__init__(fresh, rules)
        world, self.heals, self.shown = self.cluster, heals, image(self.cluster)
        for pod in world.all("pods", "prod"):
            if pod["metadata"]["labels"].get("app") == "api-service":
                world.remove("pods", pod)
        current = next(o["metadata"] for o in world.all("replicasets") if image_of(o) == self.shown)
        owner = owner or ("ReplicaSet", current["name"])
        if short:                   # two of its three pods never become ready
            world.pods[current["uid"]][1:] = [NEVER, NEVER]
            world.call_at(world.now, "deployments", world.get("deployments", "prod", "api-service"))
            world.tick()
        status = {**copy.deepcopy(CRASHING), "previousLogs": said}
        status["containerStatuses"][0]["lastState"]["terminated"] = {"exitCode": 2, "reason": "Error"}
        status["containerStatuses"][0]["state"]["waiting"]["reason"] = waiting
        fleet.pod(world, "api-service-loops", owner=owner, status=status)

    def tick(self, wall_ms):
        super().tick(wall_ms)
        world = self.cluster
        if image(world) == self.shown:
            return
        self.shown = image(world)
        for pod in world.all("pods", "prod"):
            if pod["metadata"]["labels"].get("app") == "api-service":
                world.remove("pods", pod)
        well = self.heals and self.shown == "v1.0"
        for i in range(3):
            fleet.pod(world, f"api-service-{self.shown}-{i}", **({} if well else {"status": copy.deepcopy(CRASHING)}))


def image_of(owner):
    return owner["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]


class Filling(Cluster):
    """The volume of data-db-0, of which kubelet tells how full it is; the storage follows a resize, if `follows`."""

    def __init__(self, fresh, rules=(), follows=True, used=9.5 * GIB):
        super().__init__(fresh, rules)
        self.follows, self.used, self.scraped, self.asked = follows, used, 0, None
        self.scrape()

    def scrape(self):
        claim = self.cluster.get("persistentvolumeclaims", "prod", "data-db-0")
        size = int(claim["status"]["capacity"]["storage"].removesuffix("Gi")) * GIB
        labels = '{namespace="prod",persistentvolumeclaim="data-db-0"}'
        values = {"available_bytes": size - self.used, "capacity_bytes": size, "inodes_free": 9000, "inodes": 10000}
        text = "".join(f"kubelet_volume_stats_{name}{labels} {value}\n" for name, value in values.items())
        self.production.store.scraped({"job": "kubelet"}, self.production.now, text)
        self.scraped = self.production.now

    def tick(self, wall_ms):
        super().tick(wall_ms)
        world, now = self.cluster, self.production.now
        claim = world.get("persistentvolumeclaims", "prod", "data-db-0")
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if wanted.isdigit() and self.follows:
            self.asked = self.asked or now
            if now >= self.asked + STORAGE_TAKES_S:
                world.store("persistentvolumeclaims", {**claim, "status": {
                    **claim["status"], "capacity": {"storage": f"{int(wanted) // GIB}Gi"}}})
        if now >= self.scraped + SCRAPE_EVERY_S:
            self.scrape()


class Answering(Cluster):
    """A cluster whose Prometheus answers what a function of the world says, by a word of the query."""

    def __init__(self, fresh, rules=(), change=None, numbers=None, later=None):
        super().__init__(fresh, rules, change)
        self.numbers, self.later = numbers or {}, later

    def tick(self, wall_ms):
        super().tick(wall_ms)
        if self.later and self.production.now > NOW + self.later[0]:
            self.later[1](self.cluster)
            self.later = None

    def request(self, message):
        url = urllib.parse.urlsplit(message["url"])
        if url.port == 6443:
            return super().request(message)
        form = urllib.parse.parse_qs(url.query or message["body"])
        value = next(number for word, number in self.numbers.items() if word in form["query"][0])
        result = [{"metric": {}, "value": [self.production.now, str(value(self.cluster))]}]
        return {"status": 200, "body": json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})}


class Cases:
    def __init__(self, build, scratch, only):
        self.build, self.scratch, self.only, self.number, self.failed = build, scratch, only, 0, 0
        self.flow = crash.Flow(build, "slow-model", scratch)
        world = self.flow.fresh.world
        world.clock = self.flow.fresh.clock
        kubernetes_flow.furnish(world)

    def command(self, *words):
        p = subprocess.run([self.build / "midwatch", *words], text=True, capture_output=True, check=False)
        return p.stdout + p.stderr

    def case(self, name, book, world, params, expected, effects, *says):
        """Runs a runbook: how it ends, what it sent, what its report says, and that its replay is equal."""
        if self.only not in name:
            return
        self.number += 1
        self.flow.runbook, state = book, self.scratch / f"case{self.number}"
        os.environ["CRASH_PARAMS"] = params
        result, _, _ = self.flow.once(world, state, None, 0)
        report = self.command("report", "1", "--state", state, "-o", "md").replace("\\", "")
        got, wrong = (result.get("outcome") or result.get("state"), result.get("reason")), None
        if got != expected:
            wrong = f"it ended as {got}, not {expected}: {result.get('text', '')}{result.get('error', '')}"
        elif world.effects() != effects:
            wrong = f"it sent {world.effects()}, not {effects}"
        else:
            wrong = next((f"the report does not say '{s}'" for s in says if not re.search(s, report)), None)
            wrong = wrong or self.flow.replay(state)
        self.failed += wrong is not None
        print(f"ok - {name}" if wrong is None else f"not ok - {name}: {wrong}\n{report[:3000]}", flush=True)


def looping(cases):
    def case(name, expected, effects, *says, **world):
        cases.case("crash looping: " + name, "runbooks/kube-pod-crash-looping.md", Looping(cases.flow.fresh, **world),
                   "namespace=prod pod=api-service-loops", expected, effects, *says)
    roll_back, patch = [("PATCH", DEPLOYMENT)], {"method": "PATCH", "path": "deployments/api-service$"}
    case("the release is rolled back", ("resolved", "verified"), roll_back, "the new release crashes",
         "every pod is ready", "no such table: sessions")
    case("the connection is cut after the rollback", ("resolved", "verified"), roll_back, "every pod is ready",
         rules=[{**patch, "do": "cut", "times": 1}])
    case("the rollback is lost on its way and sent again", ("resolved", "verified"), roll_back,
         rules=[{**patch, "do": "drop", "times": 1}])
    case("an admission refuses the rollback", ("escalated", "error"), [], "Forbidden|forbidden|refused",
         rules=[{**rule("PATCH", 403, "Forbidden", 9), **patch}])
    case("the release before crashes as well, so it is put back", ("escalated", "unverified"), roll_back * 2, "undone",
         heals=False)
    case("what it needs is away", ("escalated", "runbook"), [], "something it needs does not answer",
         said="dial tcp 10.0.0.7:5432: connection refused\n")
    case("a pod of a job", ("escalated", "runbook"), [], "a pod of Job", owner=("Job", "nightly"))
    case("the API server is away", ("escalated", "no_data"), [], rules=[{"do": "drop", "times": 999}])


def filling(cases):
    def case(name, expected, effects, *says, **world):
        cases.case("filling up: " + name, "runbooks/kube-volume-filling-up.md", Filling(cases.flow.fresh, **world),
                   "namespace=prod claim=data-db-0", expected, effects, *says)
    resize, patch = [("PATCH", CLAIM)], {"method": "PATCH", "path": "persistentvolumeclaims/data-db-0$"}
    case("it grows", ("resolved", "verified"), resize, "its data has grown", "more than a fifth is free")
    case("the connection is cut after the resize", ("resolved", "verified"), resize, rules=[{**patch, "do": "cut", "times": 1}])
    case("a quota refuses it", ("escalated", "error"), [], "exceeded quota", rules=[
        {**rule("PATCH", 403, "Forbidden", 9), **patch, "message": "exceeded quota: storage, requested: 5Gi"}])
    case("the storage does not follow", ("escalated", "unverified"), resize, follows=False)
    case("there is room again", ("no_action", "runbook"), [], used=2 * GIB)
    case("nothing is known of the volume", ("escalated", "no_data"), [], "free is unknown", used=float("nan"))


def node(cases):
    def case(name, expected, effects, *says, params="node-3", **world):
        cases.case("node not ready: " + name, "tests/flow/corpus/kube-node-not-ready.md", Answering(cases.flow.fresh, **world),
                   "node=" + params, expected, effects, *says)

    def ready(world):
        old = world.get("nodes", "", "node-3")
        world.store("nodes", {**old, "status": world.get("nodes", "", "node-1")["status"]})

    cordon = [("PATCH", "/api/v1/nodes/node-3")]
    case("it is cordoned and handed over", ("escalated", "runbook"), cordon, "must be repaired", "1 of 3 nodes")
    case("the connection is cut after the cordon", ("escalated", "runbook"), cordon, rules=[
        {"method": "PATCH", "do": "cut", "times": 1}])
    case("it may not be cordoned", ("escalated", "error"), [], rules=[{**rule("PATCH", 403, "Forbidden", 9), "path": "nodes"}])
    case("it comes back after four minutes", ("resolved", "runbook"), [], "came back by itself", later=(240, ready))
    case("another node is well", ("no_action", "runbook"), [], params="node-1")


def mismatch(cases):
    def case(name, expected, effects, *says, **world):
        cases.case("replicas mismatch: " + name, "tests/flow/corpus/kube-deployment-replicas-mismatch.md",
                   Looping(cases.flow.fresh, said="", **world), "namespace=prod deployment=api-service", expected, effects, *says)
    roll_back, patch = [("PATCH", DEPLOYMENT)], {"method": "PATCH", "path": "deployments/api-service$"}
    case("the pods are all there", ("no_action", "runbook"), [])
    short = {"short": True, "waiting": "ImagePullBackOff"}
    case("no image, so it is rolled back", ("resolved", "verified"), roll_back, "the image of the new release cannot be had", **short)
    case("the connection is cut", ("resolved", "verified"), roll_back, rules=[{**patch, "do": "cut", "times": 1}], **short)
    case("the rollback is refused", ("escalated", "error"), [], rules=[{**rule("PATCH", 403, "Forbidden", 9), **patch}], **short)
    case("no known cause", ("escalated", "runbook"), [], "updated", short=True)


def maxed(cases):
    def bound(world):
        return world.get("horizontalpodautoscalers", "prod", "web")["spec"]["maxReplicas"]
    numbers = {"container_cpu": lambda world: 0.95 if bound(world) == 4 else 0.6, "container_memory": lambda _: 1e9,
               "[5m]": lambda _: 300, "[6h]": lambda _: 120}
    change = [("PATCH", "/apis/autoscaling/v2/namespaces/prod/horizontalpodautoscalers/web")]

    def case(name, expected, effects, *says, rules=(), **more):
        world = Answering(cases.flow.fresh, rules, numbers={**numbers, **more})
        cases.case("autoscaler maxed out: " + name, "tests/flow/corpus/kube-hpa-maxed-out.md", world,
                   "namespace=prod autoscaler=web", expected, effects, *says)
        if cases.only in name and bound(world.cluster) != 4:
            cases.failed += 1
            print(f"not ok - {name}: its bound is {bound(world.cluster)} in the end")
    case("an hour with more pods", ("resolved", "verified"), change * 2, "the old bound is back")
    case("the connection is cut both times", ("resolved", "verified"), change * 2,
         rules=[{"method": "PATCH", "path": "autoscalers", "do": "cut", "times": 2}])
    case("more pods do not help", ("escalated", "runbook"), change * 2, "did not make them less busy",
         container_cpu=lambda _: 0.95)
    case("a quota refuses it", ("escalated", "error"), [], rules=[{**rule("PATCH", 403, "Forbidden", 9), "path": "autoscalers"}])


def every(cases):
    looping(cases)
    filling(cases)
    node(cases)
    mismatch(cases)
    maxed(cases)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
