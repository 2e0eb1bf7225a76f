#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every read and effect of the kubernetes plugin, through small runbooks, against the stand-in of the API server.

In virtual time; the engine, the plugin and the journal are the real ones. A runbook compares what it reads by itself and
ends `no_action` only if all of it is right. What needs real sockets is in kubeconfig_flow.py.

Prints `ok - name` or `not ok - name: why` per case."""
import copy
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "crash"))
sys.path.insert(0, str(ROOT / "tests" / "demo"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import crash  # noqa: E402
import fleet  # noqa: E402
import stand  # noqa: E402
from validate import defaulted  # noqa: E402
import scene  # noqa: E402

CONFIG = """instances:
  prod-eu: {{ plugin: kubernetes, kubeconfig: {dir}/kubeconfig, patch: {{ configmaps: [data.level, data.new] }}{more} }}
"""
BOOK = """---
runbook: case
summary: a case
owner: me
severity: P3
uses: {{ kubernetes: prod-eu }}
may:
{may}limits: {{ time: 60m, remedies: 5 }}
---
# Case
```lua
local function eq(what, got, want)
  if got ~= want then refuse(what .. " is " .. tostring(got) .. ", not " .. tostring(want)) end
end
{code}
no_action "all as it should be"
```
"""
MAY = '  - { effect: kubernetes.%s, target: "%s" }\n'
NOW = 1_800_000_000.0
os.environ["CRASH_YES"] = "1"       # what cannot be undone asks a person
CRASHING = {
    "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
    "logs": "".join(f"line {i} {'ERROR' if i % 10 == 0 else 'ok'} \x1b[31m\x07\n" for i in range(1, 101)),
    "previousLogs": "starting\npanic: out of memory\n",
    "containerStatuses": [{"name": "main", "ready": False, "restartCount": 7, "state": {"waiting": {
        "reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}, "lastState": {"terminated": {
            "exitCode": 137, "reason": "OOMKilled"}}}]}
PENDING = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                               "message": "0/2 nodes are available"}]}


def bare(world):
    """Objects with nothing in them that may be left out, as a young object or another version has them."""
    for resource, name, spec in (("pods", "young", {}), ("jobs", "young", {}), ("persistentvolumeclaims", "young", {"resources": {"requests": {"storage": "1Gi"}}}),
                                 ("horizontalpodautoscalers", "young", {"maxReplicas": 3}), ("leases", "young", {}),
                                 ("deployments", "young", {"selector": {"matchLabels": {"app": "y"}}, "template": {"spec": {
                                     "containers": [{"name": "c", "image": "i:1"}]}}, "newField": {"a": [1]}})):
        world.create(resource, {"metadata": {"name": name, "namespace": "prod"}, "spec": spec})
    world.create("nodes", {"metadata": {"name": "young"}, "spec": {}})


def furnish(world):
    """Adds to the demo's cluster one of everything that the cases look at."""
    world.now = world.clock()
    for name in ("node-1", "node-2"):
        fleet.node(world, name)
    fleet.node(world, "node-3", ready="Unknown")
    fleet.pod(world, "api-1", created=NOW - 600)
    fleet.pod(world, "api-2", status=CRASHING, labels={"app": "api-service", "tier": "web"})
    fleet.pod(world, "api-3", status=PENDING)
    fleet.pod(world, "db-0", owner=("StatefulSet", "db"), node="node-2", labels={"app": "db"})
    fleet.pod(world, "bare", owner=(None, None), node="node-9", labels={"app": "bare"})
    fleet.pod(world, "two", labels={"app": "two"}, status=CRASHING, spec={"containers": [{"name": "a"}, {"name": "b"}]})
    fleet.pod(world, "agent-x", owner=("DaemonSet", "agent"), node="node-2", labels={"app": "agent"})
    world.create("poddisruptionbudgets", {"metadata": {"name": "db-pdb", "namespace": "prod"},
                                          "spec": {"selector": {"matchLabels": {"app": "db"}}, "blockedUntil": 0}})
    world.create("daemonsets", defaulted("daemonsets", {
        "metadata": {"name": "agent", "namespace": "prod", "labels": {"app": "agent"}},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": scene.template("agent", "agent:1")}}))
    world.create("storageclasses", {"metadata": {"name": "fast", "annotations": {
        "storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "csi.example.net", "allowVolumeExpansion": True})
    world.create("storageclasses", {"metadata": {"name": "fixed"}, "provisioner": "local"})
    for name, klass, phase in (("data-db-0", "fast", "Bound"), ("old", "fixed", "Bound"), ("lost", "fast", "Pending")):
        world.create("persistentvolumeclaims", {
            "metadata": {"name": name, "namespace": "prod"},
            "spec": {"storageClassName": klass, "volumeName": "pv-1", "resources": {"requests": {"storage": "10Gi"}}},
            "status": {"phase": phase, "capacity": {"storage": "10Gi"}}})
    for i, more in enumerate(({"lastTimestamp": world.stamp(NOW - 60), "count": 12}, {
            "lastTimestamp": None, "eventTime": "2027-01-15T07:59:50.123456Z", "series": {
                "count": 4, "lastObservedTime": "2027-01-15T07:59:55.000001Z"}})):
        world.create("events", {"metadata": {"name": f"e{i}", "namespace": "prod"}, "type": "Warning", "reason": ["BackOff",
                                                                                                                  "Killing"][i],
                                "message": "back-off \u001b[31m", "involvedObject": {"kind": "Pod", "name": "api-2"}, **more})
    world.create("horizontalpodautoscalers", {
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        "status": {"currentReplicas": 4, "desiredReplicas": 4, "conditions": [
            {"type": "ScalingActive", "status": "False", "message": "no metrics"}, {"type": "AbleToScale", "status": "True"},
            {"type": "ScalingLimited", "status": "True"}]}})
    for name, owned in (("web", {}), ("argo",
                                      {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:prod/argo"}}),
                        ("flux", {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}),
                        ("helm", {"labels": {"app.kubernetes.io/managed-by": "Helm"},
                                  "annotations": {"meta.helm.sh/release-name": "shop"}}),
                        ("operated", {"ownerReferences": [{"kind": "Model", "name": "m", "uid": "u", "controller": True}]})):
        world.create("deployments", defaulted("deployments", {
            "metadata": {"name": name, "namespace": "prod", **owned},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": scene.template(name, f"{name}:1")}}))
    world.create("jobs", {"metadata": {"name": "nightly", "namespace": "prod"}, "spec": {}, "status": {
        "failed": 3, "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}})
    world.create("leases", {"metadata": {"name": "leader", "namespace": "prod"}, "spec": {
        "holderIdentity": "api-1", "leaseDurationSeconds": 15, "leaseTransitions": 2,
        "renewTime": "2027-01-15T07:59:00.000000Z"}})
    for name, cpu in (("api-1", "250m"), ("api-2", "1500000000n")):
        world.create("podmetrics", {"metadata": {"name": name, "namespace": "prod", "labels": {"app": "api-service"}},
                                    "timestamp": world.stamp(NOW - 20), "window": "30s",
                                    "containers": [{"name": "main", "usage": {"cpu": cpu, "memory": "65536Ki"}},
                                                   {"name": "side", "usage": {"cpu": "0", "memory": "1Mi"}}]})
    world.create("nodemetrics", {"metadata": {"name": "node-1"}, "timestamp": world.stamp(NOW - 20), "window": "30s",
                                 "usage": {"cpu": "1", "memory": "1Gi"}})
    world.create("configmaps", {"metadata": {"name": "app", "namespace": "prod"}, "data": {"level": "info", "other": "x"}})
    world.create("widgets", {"metadata": {"name": "w", "namespace": "prod", "annotations": {"a.b/c": "note"}},
                             "spec": {"size": 3, "ratio": 0.5, "tags": ["a", "b"], "gone": None}})
    scene.settle(world, world.now)
    world.now = world.clock()


READS = {
    "workloads": '''
local d, s, a = kubernetes.deployment("prod", "api-service"), kubernetes.statefulset("prod", "postgres-read-replica"),
  kubernetes.daemonset("prod", "agent")
local o = observe { d = d:state(), s = s:state(), a = a:state(), dr = d:rollout(), sr = s:rollout(), ar = a:rollout(),
  dh = d:history(), sh = s:history(), ah = a:history { at_most = 1 }, age = d:revision_age(), n = a:replicas() }
eq("d", o.d.replicas, 3) eq("ready", o.d.ready, 3) eq("paused", o.d.paused, false) eq("s", o.s.replicas, 1)
eq("a", o.a.replicas, 3) eq("n", o.n, 3) eq("dr", o.dr.done, true) eq("sr", o.sr.done, true) eq("ar", o.ar.done, true)
eq("dh", #o.dh, 2) eq("cause", o.dh[1].cause, "model v1.1") eq("revision", o.dh[1].revision, 2) eq("sh", #o.sh, 1)
eq("ah", #o.ah, 1)
eq("age", o.age > 200 and o.age < 400, true)''',
    "pods": '''
local o = observe { all = kubernetes.deployment("prod", "api-service"):pods(),
  web = kubernetes.namespace("prod"):pods { selector = "tier=web" },
  node = kubernetes.node("node-2"):pods(), one = kubernetes.pod("prod", "api-2"):state(),
  none = kubernetes.node("node-7"):pods() }
eq("all", #o.all, 3) eq("web", #o.web, 1) eq("node", #o.node, 2) eq("none", #o.none, 0)
eq("waiting", o.one.waiting, "CrashLoopBackOff") eq("restarts", o.one.restarts, 7) eq("last", o.one.terminated, "OOMKilled")
eq("code", o.one.exit_code, 137) eq("ready", o.one.ready, false) eq("owner", o.one.owner, "ReplicaSet/api-service-1")
eq("pending", list.where(o.all, { phase = "Pending" })[1].waiting, "Unschedulable")
eq("fine", list.where(o.all, { name = "api-1" })[1].exit_code, nil)''',
    "a pod that is not there": '''
eq("default", observe(kubernetes.pod("prod", "nobody"):state { absent = "gone" }), "gone")
eq("known", known(observe { x = kubernetes.pod("prod", "nobody"):state() }, "x"), false)''',
    "a field that there is none": '''
local ok, why = try(function() return observe(kubernetes.pod("prod", "api-1"):state()).redy end)
eq("ok", ok, false) eq("why", text.has(why, "did you mean 'ready'"), true)''',
    "an option that there is none": '''
local ok, why = try(function() return kubernetes.namespace("prod"):pods { at_mosst = 3 } end)
eq("ok", ok, false) eq("why", text.has(why, "did you mean 'at_most'"), true)''',
    "more than at_most": '''
eq("known", known(observe { x = kubernetes.namespace("prod"):pods { at_most = 2 } }, "x"), false)''',
    "logs": '''
local p = kubernetes.pod("prod", "api-2")
local o = observe { tail = p:logs { lines = 5 }, errors = p:logs { match = "ERROR" }, n = p:log_count("ERROR$|ERROR "),
  before = p:logs { previous = true, match = "panic" }, since = p:logs { since = "10m", lines = 1 } }
eq("tail", text.has(o.tail, "line 96 "), true) eq("not 95", text.has(o.tail, "line 95 "), false) eq("n", o.n, 10)
eq("errors", text.has(o.errors, "line 100 ERROR"), true) eq("others", text.has(o.errors, "ok"), false)
eq("before", o.before, "panic: out of memory")''',
    "logs: no previous instance, several containers, a broken pattern": '''
local o = observe { x = kubernetes.pod("prod", "api-1"):logs { previous = true }, y = kubernetes.pod("prod", "two"):logs(),
  z = kubernetes.pod("prod", "api-2"):logs { match = "(" }, b = kubernetes.pod("prod", "two"):logs { container = "b",
  lines = 1 } }
eq("x", known(o, "x"), false) eq("y", known(o, "y"), false) eq("z", known(o, "z"), false) eq("b", known(o, "b"), true)''',
    "nodes": '''
local o = observe { all = kubernetes.nodes(), one = kubernetes.node("node-1"):state(), bad = kubernetes.node("node-3"):state() }
eq("all", #o.all, 3) eq("one", o.one.ready, true) eq("cpu", o.one.cpu, 3.92) eq("memory", o.one.memory, 15 * 1024 ^ 3 // 1 | 0)
eq("bad", o.bad.ready, false) eq("trouble", o.bad.trouble, "DiskPressure, NodeStatusUnknown")''',
    "events": '''
local o = observe { pod = kubernetes.pod("prod", "api-2"):events(),
  ns = kubernetes.namespace("prod"):events { type = "Warning", reason = "BackOff" },
  new = kubernetes.namespace("prod"):events { since = "30s" }, none = kubernetes.pod("prod", "api-1"):events() }
eq("pod", #o.pod, 2) eq("newest", o.pod[1].reason, "Killing") eq("count", o.pod[1].count, 4) eq("age", o.pod[1].age < 7, true)
eq("ns", #o.ns, 1) eq("12", o.ns[1].count, 12) eq("new", #o.new, 1) eq("none", #o.none, 0)
eq("object", o.ns[1].object, "Pod/api-2")''',
    "top": '''
local o = observe { d = kubernetes.deployment("prod", "api-service"):top(), p = kubernetes.pod("prod", "api-1"):top(),
  n = kubernetes.node("node-1"):top() }
eq("d", #o.d, 2) eq("cpu", o.d[1].cpu, 0.25) eq("nano", o.d[2].cpu, 1.5) eq("memory", o.p[1].memory, 65 * 1024 * 1024)
eq("node", o.n[1].cpu, 1.0)''',
    "jobs, claims, classes": '''
local o = observe { job = kubernetes.job("prod", "nightly"):state(), claim = kubernetes.claim("prod", "data-db-0"):state(),
  claims = kubernetes.namespace("prod"):claims(), classes = kubernetes.storage_classes() }
eq("failed", o.job.failed, 3) eq("failure", o.job.failure, "BackoffLimitExceeded") eq("complete", o.job.complete, false)
eq("size", o.claim.size, 10 * 1024 ^ 3 // 1 | 0) eq("class", o.claim.class, "fast") eq("claims", #o.claims, 3)
eq("classes", #o.classes, 2) eq("expandable", list.where(o.classes, { name = "fast" })[1].expandable, true)''',
    "autoscaler, lease": '''
local o = observe { h = kubernetes.autoscaler("prod", "web"):state(), l = kubernetes.lease("prod", "leader"):state() }
eq("max", o.h.max, 4) eq("limited", o.h.limited, true) eq("active", o.h.active, false) eq("why", o.h.why, "no metrics")
eq("target", o.h.target, "deployment/web") eq("holder", o.l.holder, "api-1") eq("expired", o.l.expired, true)''',
    "any object": '''
local o = observe { w = kubernetes.object("widgets.example.com", "prod", "w"):get { fields = { size = "spec.size",
  tag = "spec.tags[]",
    note = 'metadata.annotations["a.b/c"]', gone = "spec.gone", ratio = "spec.ratio" } },
  all = kubernetes.objects("cm", { namespace = "prod", fields = { name = "metadata.name", level = "data.level" } }),
  bad = kubernetes.objects("gadgets", { fields = { name = "metadata.name" } }),
  path = kubernetes.objects("cm", { namespace = "prod", fields = { name = "metadata..name" } }) }
eq("size", o.w.size, 3) eq("ratio", o.w.ratio, 0.5) eq("tags", #o.w.tag, 2) eq("note", o.w.note, "note") eq("gone", o.w.gone, nil)
eq("all", #o.all, 1) eq("level", o.all[1].level, "info") eq("bad", known(o, "bad"), false) eq("path", known(o, "path"), false)''',
}

API = "/api/v1/namespaces/prod/pods/"
APPS = "/apis/apps/v1/namespaces/prod/deployments/"


def rule(method, code, reason, times=1, **more):
    return {"method": method, "do": "status", "code": code, "reason": reason, "times": times, "path": "^(?!.*selfsubject)",
            **more}


# name: verb, target, the effect, {how to verify, rules, what the world must show: (resource, namespace, name, path, value)...}
def effect(verb, target, call, method, path, *shows, verify='"applied"', opposite=None):
    return {"verb": verb, "target": target, "call": call, "method": method, "path": path, "shows": shows, "verify": verify,
            "undone": opposite}


D = 'kubernetes.deployment("prod", "api-service")'
EFFECTS = {
    "scale": effect("scale", "deployment/prod/api-service", D + ":scale(5)", "PATCH", APPS + "api-service/scale",
                    ("deployments", "prod", "api-service", "spec.replicas", 5), opposite=3),
    "scale statefulset": effect("scale", "statefulset/prod/postgres-read-replica",
                                'kubernetes.statefulset("prod", "postgres-read-replica"):scale(2)', "PATCH",
                                "/apis/apps/v1/namespaces/prod/statefulsets/postgres-read-replica/scale",
                                ("statefulsets", "prod", "postgres-read-replica", "spec.replicas", 2), opposite=1),
    "pause": effect("pause", "deployment/prod/api-service", D + ":pause()", "PATCH", APPS + "api-service",
                    ("deployments", "prod", "api-service", "spec.paused", True), opposite=False),
    "restart": effect("restart", "deployment/prod/api-service", D + ":restart()", "PATCH", APPS + "api-service",
                      ("deployments", "prod", "api-service",
                       "spec.template.metadata.annotations.midwatch/restarted-generation", "2")),
    "set_image": effect("set_image", "deployment/prod/api-service",
                        D + ':set_image("api-service", "registry.example.net/x:9")', "PATCH",
                        APPS + "api-service", ("deployments", "prod", "api-service", "spec.template.spec.containers.0.image",
                                               "registry.example.net/x:9"), opposite="registry.example.net/model-service:v1.1"),
    "rollback": effect("rollback", "deployment/prod/api-service", D + ":rollback()", "PATCH", APPS + "api-service",
                       ("deployments", "prod", "api-service", "spec.template.spec.containers.0.image",
                        "registry.example.net/model-service:v1.0"), opposite="registry.example.net/model-service:v1.1"),
    "rollback statefulset": effect("rollback", "statefulset/prod/two-releases",
                                   'kubernetes.statefulset("prod", "two-releases"):rollback()', "PATCH",
                                   "/apis/apps/v1/namespaces/prod/statefulsets/two-releases",
                                   ("statefulsets", "prod", "two-releases", "spec.template.spec.containers.0.image",
                                    "registry.example.net/two:1"), opposite="registry.example.net/two:2"),
    "rollback daemonset": effect("rollback", "daemonset/prod/two-agents",
                                 'kubernetes.daemonset("prod", "two-agents"):rollback()', "PATCH",
                                 "/apis/apps/v1/namespaces/prod/daemonsets/two-agents",
                                 ("daemonsets", "prod", "two-agents", "spec.template.spec.containers.0.image",
                                  "registry.example.net/two:1"), opposite="registry.example.net/two:2"),
    "resize": effect("resize", "claim/prod/data-db-0", 'kubernetes.claim("prod", "data-db-0"):resize(gib(20))', "PATCH",
                     "/api/v1/namespaces/prod/persistentvolumeclaims/data-db-0",
                     ("persistentvolumeclaims", "prod", "data-db-0", "spec.resources.requests.storage", str(20 << 30))),
    "delete": effect("delete", "pod/prod/api-2", 'kubernetes.pod("prod", "api-2"):delete { only_if = "CrashLoopBackOff" }',
                     "DELETE",
                     API + "api-2"),
    "evict": effect("evict", "pod/prod/db-0", 'kubernetes.pod("prod", "db-0"):evict()', "POST", API + "db-0/eviction"),
    "cordon": effect("cordon", "node/node-1", 'kubernetes.node("node-1"):cordon()', "PATCH", "/api/v1/nodes/node-1",
                     ("nodes", "", "node-1", "spec.unschedulable", True), opposite=False),
    "set": effect("set", "configmaps/prod/app", 'kubernetes.object("configmaps", "prod", "app"):set("data.level", "debug")',
                  "PATCH",
                  "/api/v1/namespaces/prod/configmaps/app", ("configmaps", "prod", "app", "data.level", "debug"),
                  opposite="info"),
    "set a new field": effect("set", "configmaps/prod/app", 'kubernetes.object("configmaps", "prod", "app"):set("data.new", "1")',
                              "PATCH", "/api/v1/namespaces/prod/configmaps/app", ("configmaps", "prod", "app", "data.new", "1")),
    "bounds": effect("bounds", "autoscaler/prod/web", 'kubernetes.autoscaler("prod", "web"):bounds(2, 8)', "PATCH",
                     "/apis/autoscaling/v2/namespaces/prod/horizontalpodautoscalers/web",
                     ("horizontalpodautoscalers", "prod", "web", "spec.maxReplicas", 8), opposite=4),
}
# What is refused before anything is sent, and words of why.
REFUSED = {
    "scale where an autoscaler owns it": ("scale", 'kubernetes.deployment("prod", "web"):scale(3)', "autoscaler 'web' owns"),
    "scale where Argo CD owns it": ("scale", 'kubernetes.deployment("prod", "argo"):scale(3)', "Argo CD"),
    "scale where Flux owns it": ("scale", 'kubernetes.deployment("prod", "flux"):scale(3)', "Flux"),
    "scale where an operator owns it": ("scale", 'kubernetes.deployment("prod", "operated"):scale(3)', "the Model 'm'"),
    "rollback without an earlier release": ("rollback", 'kubernetes.deployment("prod", "helm"):rollback()', "no earlier release"),
    "set_image of no container": ("set_image", D + ':set_image("nope", "x:1")', "no container 'nope'"),
    "delete only_if it is not so": ("delete", 'kubernetes.pod("prod", "api-1"):delete { only_if = "CrashLoopBackOff" }',
                                    "not CrashLoopBackOff"),
    "delete of a pod without controller": ("delete", 'kubernetes.pod("prod", "bare"):delete()', "no controller"),
    "resize to less": ("resize", 'kubernetes.claim("prod", "data-db-0"):resize(gib(5))', "cannot shrink"),
    "resize where the class does not allow it": ("resize", 'kubernetes.claim("prod", "old"):resize(gib(20))', "no expansion"),
    "resize of an unbound claim": ("resize", 'kubernetes.claim("prod", "lost"):resize(gib(20))', "not bound"),
    "set of an undeclared field": ("set", 'kubernetes.object("configmaps", "prod", "app"):set("data.other", "y")',
                                   "does not declare"),
    "bounds upside down": ("bounds", 'kubernetes.autoscaler("prod", "web"):bounds(5, 2)', "min is above max"),
    "drain with local data": ("drain", 'kubernetes.node("node-1"):drain()', "local data"),
}


class Cluster(crash.World):
    """The furnished cluster with planted faults."""

    def __init__(self, fresh, rules=(), change=None):
        super().__init__(fresh)
        self.cluster = self.production.world
        if change:
            change(self.cluster)
        self.cluster.rules = [dict(rule) for rule in rules]

    def tick(self, wall_ms):
        """Only the cluster lives; nobody uses the service here."""
        self.wall_ms = max(self.wall_ms, wall_ms)
        self.production.now = max(self.production.now, self.wall_ms / 1000)
        self.cluster.tick()


class Cases:
    """Runs runbooks, each in a state directory of its own."""

    def __init__(self, build, scratch, only):
        self.flow = crash.Flow(build, "slow-model", scratch)
        self.build, self.scratch, self.only, self.number, self.failed = build, scratch, only, 0, 0
        world = self.flow.fresh.world
        world.clock = self.flow.fresh.clock
        furnish(world)
        two_releases(world)
        self.config()

    def config(self, more=""):
        (self.scratch / "midwatch.yaml").write_text(CONFIG.format(dir=self.scratch, more=more))

    def run(self, world, code, verbs="scale", target="deployment/prod/api-service"):
        """(result, why it ended so). The runbook may make the effects of these verbs on the target."""
        self.number += 1
        book = self.scratch / "case.md"
        book.write_text(BOOK.format(code=code, may="".join(MAY % (verb, target) for verb in verbs.split())))
        self.flow.runbook = book
        state = self.scratch / f"case{self.number}"
        result, _, _ = self.flow.once(world, state, None, 0)
        report = subprocess.run([self.build / "midwatch", "report", "1", "--state", state], text=True, capture_output=True,
                                check=False)
        return result, report.stdout.replace("\\_", "_") + result.get("text", "")

    def say(self, name, wrong, report=""):
        self.failed += wrong is not None
        print(f"ok - {name}" if wrong is None else f"not ok - {name}: {wrong}\n{report[:1500]}", flush=True)


def two_releases(world):
    """A statefulset and a daemonset with two releases each."""
    for resource, name in (("statefulsets", "two-releases"), ("daemonsets", "two-agents")):
        world.create(resource, defaulted(resource, {
            "metadata": {"name": name, "namespace": "prod", "labels": {"app": name}},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": scene.template(name, "two:1"),
                     **({"serviceName": name, "replicas": 1} if resource == "statefulsets" else {})}}))
    scene.settle(world, world.now)
    world.now = world.clock()
    for resource, name in (("statefulsets", "two-releases"), ("daemonsets", "two-agents")):
        obj = copy.deepcopy(world.get(resource, "prod", name))
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.net/two:2"
        obj["metadata"]["generation"] += 1
        world.store(resource, obj)
    scene.settle(world, world.now)
    world.now = world.clock()


BARE = '''
local o = observe { p = kubernetes.pod("prod", "young"):state(), j = kubernetes.job("prod", "young"):state(),
  c = kubernetes.claim("prod", "young"):state(), h = kubernetes.autoscaler("prod", "young"):state(),
  l = kubernetes.lease("prod", "young"):state(), d = kubernetes.deployment("prod", "young"):state(),
  r = kubernetes.deployment("prod", "young"):rollout(), n = kubernetes.node("young"):state() }
eq("phase", o.p.phase, "Unknown") eq("ready", o.p.ready, false) eq("exit", o.p.exit_code, nil) eq("complete", o.j.complete, false)
eq("size", o.c.size, 0) eq("min", o.h.min, 1) eq("active", o.h.active, false) eq("expired", o.l.expired, true)
eq("ago", o.l.renewed_ago, nil) eq("replicas", o.d.replicas, 1) eq("done", o.r.done, false) eq("node", o.n.ready, false)
eq("cpu", o.n.cpu, nil)'''


def value_at(obj, path):
    keys = ["spec", "template", "metadata", "annotations", path.split("annotations.",
                                                                      1)[1]] if "annotations." in path else path.split(".")
    for key in keys:
        obj = obj[int(key)] if isinstance(obj, list) else (obj or {}).get(key)
    return obj


def shown(world, shows, instead=None):
    """What the world shows otherwise, or None."""
    for resource, namespace, name, path, value in shows:
        got, want = value_at(world.cluster.get(resource, namespace, name), path), value if instead is None else instead
        if (got or False) != want and got != want:
            return f"{path} is {got!r}, not {want!r}"
    return None


def reads(cases):
    for name, code in READS.items():
        if cases.only in name:
            result, report = cases.run(Cluster(cases.flow.fresh), code)
            cases.say("read " + name, None if result.get("outcome") == "no_action" and result["reason"] == "runbook" else
                      f"{result}", report)


def ended(result, outcome, reason):
    got = (result.get("outcome"), result.get("reason"))
    return None if got == (outcome, reason) else f"{got}, not {(outcome, reason)}: {result.get('error', '')}"


def writes(world):
    return [e for e in world.effects()]


def one_effect(cases, name, e):
    """Every way in which one effect can end."""
    remedy = f'remedy("it", {e["call"]}, {{ verify = "applied", within = "5m" }}) resolve "done"'
    sent = [(e["method"], e["path"])]
    at = {"method": e["method"], "path": e["path"].replace("/", "\\/") + "$"}
    conflict = {**rule(e["method"], 409, "Conflict"), **at}
    endings = [
        ("applied", [], "resolved", "verified", sent),
        ("409 once", [conflict], *(("escalated", "moved", []) if e["method"] != "PATCH" else ("resolved", "verified", sent))),
        ("403", [{**rule(e["method"], 403, "Forbidden", 9), **at}], "escalated", "error", []),
        ("422", [{**rule(e["method"], 422, "Invalid", 9), **at}], "escalated", "error", []),
        ("429 always", [{**rule(e["method"], 429, "TooManyRequests", 99), **at}], "escalated", "error", []),
        ("500 once", [{**rule(e["method"], 500, "InternalError"), **at}], "resolved", "verified", sent),
        ("cut before it arrived", [{**at, "do": "drop"}], "resolved", "verified", sent),
        ("cut after it was applied", [{**at, "do": "cut", "times": 1}], "resolved", "verified", sent),
        ("the cluster is down", [{"do": "drop", "times": 999}], "escalated", "no_data", []),
    ]
    for how, rules, outcome, reason, effects in endings:
        if cases.only not in f"{name}: {how}":
            continue
        world = Cluster(cases.flow.fresh, rules)
        result, report = cases.run(world, remedy, e["verb"], e["target"])
        wrong = ended(result, outcome, reason)
        if not wrong and writes(world) != effects:
            wrong = f"effects {writes(world)}, not {effects}"
        cases.say(f"{name}: {how}", wrong or (shown(world, e["shows"]) if outcome == "resolved" else None), report)
    if cases.only in f"{name}: already":
        again = remedy.replace('resolve "done"', "") + remedy.replace('"it"', '"again"')
        world = Cluster(cases.flow.fresh)
        result, report = cases.run(world, again, e["verb"], e["target"])
        expected = 2 if e["verb"] in ("restart", "rollback") else 1
        # Nobody rolls back twice: the release before was left as bad.
        outcome = ("escalated", "error") if e["verb"] == "rollback" else ("resolved", "verified")
        cases.say(f"{name}: already", ended(result, *outcome) or
                  (None if len(writes(world)) <= expected else f"effects {writes(world)}"), report)
    if cases.only in f"{name}: undo" and e["undone"] is not None:
        world = Cluster(cases.flow.fresh)
        code = f'remedy("it", {e["call"]}, {{ when = function() return true end, verify = function() return false end, ' \
               'within = "1s" })'
        result, report = cases.run(world, code, e["verb"], e["target"])
        cases.say(f"{name}: undo", ended(result, "escalated", "unverified") or shown(world, e["shows"], e["undone"]), report)


def refusals(cases):
    for name, (verb, call, why) in REFUSED.items():
        if cases.only not in name:
            continue
        kind, _, rest = call.partition(":")
        words = [w for w in kind.replace("kubernetes.", "").replace("(", ",").replace(")", "").replace('"', "").split(",")]
        target = "/".join(w.strip() for w in (words[1:] if words[0] == "object" else words))
        world = Cluster(cases.flow.fresh, change=lambda w: fleet.pod(w, "cache", spec={"volumes": [{"name": "c",
                                                                                                    "emptyDir": {}}]})
                        if "local data" in name else None)
        result, report = cases.run(world, f'remedy("it", {call}, {{ verify = "applied" }})', verb, target)
        wrong = ended(result, "escalated", "error")
        if not wrong and (why not in report or world.effects()):
            wrong = f"'{why}' is not said, or something was sent: {world.effects()}"
        cases.say("refused: " + name, wrong, report)


def others(cases):
    """What is not one effect with its endings."""
    apply = '{ verify = "applied", within = "5m" }'

    def case(name, code, verb, target, outcome, reason, rules=(), change=None, more="", look=None):
        if cases.only not in name:
            return
        cases.config(more)
        world = Cluster(cases.flow.fresh, rules, change)
        result, report = cases.run(world, code, verb, target)
        cases.say(name, ended(result, outcome, reason) or (look(world, report) if look else None), report)
        cases.config()

    def no_rights(world):
        world.denied.append({"verb": "patch", "resource": "deployments", "subresource": "scale"})

    def budget(until):
        def change(world):
            pdb = world.all("poddisruptionbudgets")[0]
            world.store("poddisruptionbudgets", {**pdb, "spec": {**pdb["spec"], "blockedUntil": world.now + until}})
        return change

    def said(*words):
        return lambda _, report: next((f"'{w}' is not said" for w in words if w not in report), None)

    def dump(*paths):
        return lambda world, _: shown(world, paths)

    scale = f'remedy("it", {D}:scale(5), {apply}) resolve "done"'
    evict = f'remedy("it", kubernetes.pod("prod", "db-0"):evict(), {apply}) resolve "done"'
    drain = f'remedy("it", kubernetes.node("node-2"):drain(), {apply}) resolve "done"'
    case("the access review says no", scale, "scale", "deployment/prod/api-service", "escalated", "error", change=no_rights,
         look=said("does not allow patch deployments/scale"))
    case("no access review at all", scale, "scale", "deployment/prod/api-service", "resolved", "verified",
         rules=[{"method": "POST", "path": "selfsubject", "do": "status", "code": 404, "times": 9}])
    case("Argo CD owns it and write_owned",
         f'remedy("it", kubernetes.deployment("prod", "argo"):scale(3), {apply}) resolve "done"', "scale",
         "deployment/prod/argo", "resolved", "verified", more=", write_owned: true")
    case("a Helm release is told", f'remedy("it", kubernetes.deployment("prod", "helm"):scale(3), {apply}) resolve "done"',
         "scale",
         "deployment/prod/helm", "resolved", "verified")
    case("somebody else changes it", scale, "scale", "deployment/prod/api-service", "escalated", "moved", rules=[
        {"method": "PATCH", "do": "interfere", "object": ["deployments", "prod", "api-service"],
         "patch": {"spec": {"replicas": 4}}}])
    case("a budget refuses for 20 s", evict, "evict", "pod/prod/db-0", "resolved", "verified", change=budget(20))
    case("a budget refuses for ever", evict, "evict", "pod/prod/db-0", "escalated", "error", change=budget(9e9),
         look=said("disruption budget", "db-pdb needs 2 healthy"))
    case("drain", drain, "drain", "node/node-2", "resolved", "verified", look=dump(("nodes", "", "node-2",
                                                                                    "spec.unschedulable", True)))
    case("drain waits for a budget", drain, "drain", "node/node-2", "resolved", "verified", change=budget(60))
    case("drain that a budget stops half way", drain, "drain", "node/node-2", "escalated", "moved", change=budget(9e9))
    case("drain is undone by uncordon", 'remedy("it", kubernetes.node("node-2"):drain(), { when = function() return true end, '
         'verify = function() return false end, within = "1s" })', "drain", "node/node-2", "escalated", "unverified",
         look=dump(("nodes", "", "node-2", "spec.unschedulable", False)))
    case("rollback while paused", f'remedy("it", {D}:rollback(), {apply})', "rollback", "deployment/prod/api-service",
         "escalated",
         "error", change=lambda w: w.store("deployments", {**w.get("deployments", "prod", "api-service"), "spec": {
             **w.get("deployments", "prod", "api-service")["spec"], "paused": True}}), look=said("is paused"))
    case("a pod that came back under its name is another",
         'remedy("it", kubernetes.pod("prod", "db-0"):delete(), { verify = function() '
         'return observe(kubernetes.pod("prod", "db-0"):state()).ready end, when = function() return true end, within = "1m" }) '
         'resolve "ok"',
         "delete", "pod/prod/db-0", "resolved", "verified")
    case("objects that have nothing yet, and a field nobody knows", BARE, "scale", "x", "no_action", "runbook",
         change=bare)
    case("no metrics server", 'eq("known", known(observe { t = kubernetes.pod("prod", "api-1"):top() }, "t"), false)', "scale",
         "x", "no_action", "runbook", change=lambda w: [w.remove("nodemetrics", o) for o in w.all("nodemetrics")] and None)
    many = 'local o = observe { p = kubernetes.namespace("many"):pods { at_most = 700 } } eq("p", #o.p, 600)'
    fill = lambda w: [fleet.pod(w, f"p-{i:04}", namespace="many") for i in range(600)] and None  # noqa: E731
    case("three pages", many, "scale", "x", "no_action", "runbook", change=fill)
    expired = {"method": "GET", "path": "namespaces/many/pods", "do": "status", "code": 410, "reason": "Expired", "after": 2}
    case("a list expires (410) and begins anew", many, "scale", "x", "no_action", "runbook", rules=[expired], change=fill)
    case("a list that expires for ever",
         f'eq("known", known(observe {{ p = kubernetes.namespace("many"):pods {{ at_most = 700 }} }}, "p"), false)',
         "scale", "x", "no_action", "runbook", change=fill, rules=[{**expired, "after": 1}, {**expired, "after": 1},
                                                                   {**expired, "after": 1}])
    case("a list that is too large for one value says so", 'local o = observe { p = kubernetes.namespace("many"):pods '
         '{ at_most = 9000 } } eq("p", o.p, 1)', "scale", "x", "escalated", "no_data", look=said("larger than 1 MiB"),
         change=lambda w: [fleet.pod(w, f"p-{i:04}-{'x' * 200}", namespace="many") for i in range(3500)] and None)
    names = 'kubernetes.objects("pods", { namespace = "many", at_most = 10000, fields = { name = "metadata.name" } })'
    case("a list of 10,000", f'local o = observe {{ p = {names} }} eq("p", #o.p, 10000)', "scale", "x", "no_action", "runbook",
         change=lambda w: [w.objects.__setitem__(f"pods/many/p{i:05}", {"metadata": {"name": f"p{i:05}", "namespace": "many"}})
                           for i in range(10000)] and None)


def every(cases):
    reads(cases)
    for name, e in EFFECTS.items():
        one_effect(cases, name, e)
    refusals(cases)
    others(cases)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
