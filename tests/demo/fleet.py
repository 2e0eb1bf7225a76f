# SPDX-License-Identifier: Apache-2.0
"""What stands around the workloads in the stand-in cluster: pods as objects, nodes, events, claims, metrics, leases.

Pods here are plain objects that a test creates; one with a controller comes back when it is ended, under its own
name if that is a StatefulSet. `status.logs` and `status.previousLogs` of a pod are what its log endpoint answers.
"""
import copy

from controllers import stateful_revision
from listing import label_selector, selector_text

BACK_AFTER_S = 0.5
KINDS = {
    "pods": ("", "v1", "Pod", False), "nodes": ("", "v1", "Node", False), "events": ("", "v1", "Event", False),
    "configmaps": ("", "v1", "ConfigMap", False), "namespaces": ("", "v1", "Namespace", False),
    "persistentvolumeclaims": ("", "v1", "PersistentVolumeClaim", False),
    "daemonsets": ("apps", "v1", "DaemonSet", False), "jobs": ("batch", "v1", "Job", False),
    "cronjobs": ("batch", "v1", "CronJob", False),
    "storageclasses": ("storage.k8s.io", "v1", "StorageClass", False),
    "poddisruptionbudgets": ("policy", "v1", "PodDisruptionBudget", False),
    "leases": ("coordination.k8s.io", "v1", "Lease", False), "widgets": ("example.com", "v1beta1", "Widget", False),
    "podmetrics": ("metrics.k8s.io", "v1beta1", "PodMetrics", False),
    "nodemetrics": ("metrics.k8s.io", "v1beta1", "NodeMetrics", False),
}
CLUSTER = ("nodes", "namespaces", "storageclasses", "nodemetrics")
FIELD_LABELS = {"pods": ("spec.nodeName", "status.phase"),
                "events": ("involvedObject.kind", "involvedObject.name", "type", "reason")}


def resource_of(at):
    """The stored resource of a path: the metrics API calls its own pods and nodes like those of the core."""
    name = at.get("resource")
    return {"pods": "podmetrics", "nodes": "nodemetrics"}.get(name, name) if at["group"] == "metrics.k8s.io" else name


def is_absent(world, at):
    """Without metrics there is no metrics server: its group is unknown."""
    return at["group"] == "metrics.k8s.io" and not world.all("nodemetrics")


def discovery(kinds, path):
    """The resource lists that clients find kinds with, or None."""
    for group, version in {k[:2] for k in kinds.values()}:
        if group and path == f"/apis/{group}":
            return {"kind": "APIGroup", "apiVersion": "v1", "name": group,
                    "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                    "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}}
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}" if group else version,
                    "resources": [{"name": name, "singularName": k[2].lower(), "kind": k[2], "namespaced": name not in CLUSTER,
                                   "verbs": ["get", "list", "patch"], "shortNames": ["cm"] if name == "configmaps" else []}
                                  for name, k in sorted(kinds.items()) if k[:2] == (group, version)]}
    return None


def sync_daemonset(world, ds, _now):
    """Runs everywhere at once."""
    stateful_revision(world, ds, "DaemonSet")
    n = len(world.all("nodes"))
    world.store("daemonsets", {**ds, "status": {
        "observedGeneration": ds["metadata"]["generation"], "desiredNumberScheduled": n, "currentNumberScheduled": n,
        "numberReady": n, "numberAvailable": n, "updatedNumberScheduled": n, "numberMisscheduled": 0}})


def sync_pod(world, pod, now):
    """The end of a pod that was told to go, and its successor."""
    if "deletionTimestamp" not in pod["metadata"]:
        return
    world.remove("pods", pod)
    meta = {k: v for k, v in pod["metadata"].items() if k in ("name", "namespace", "labels", "ownerReferences", "annotations")}
    owner = next((o for o in meta.get("ownerReferences", []) if o.get("controller")), None)
    if not owner:
        return
    if owner["kind"] != "StatefulSet":
        meta["name"] = f"{meta['name'].rsplit('-', 1)[0]}-{world.serial:05x}"
    free = [n["metadata"]["name"] for n in world.all("nodes") if not n.get("spec", {}).get("unschedulable")]
    spec = {**copy.deepcopy(pod.get("spec", {})), "nodeName": free[0] if free else None}
    if spec["nodeName"] is None:
        del spec["nodeName"]
    world.create("pods", {"metadata": meta, "spec": spec, "status": {
        "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": {"running": {}}}]}}, created=now)


CONTROLLERS = {"daemonsets": sync_daemonset, "pods": sync_pod}


def end(world, resource, obj):
    """A deletion: pods go gracefully, other objects at once."""
    if resource != "pods":
        world.remove(resource, obj)
        return
    gone = copy.deepcopy(obj)
    gone["metadata"]["deletionTimestamp"] = world.stamp(world.now)
    world.call_at(world.now + BACK_AFTER_S, "pods", world.store("pods", gone))


def log(_world, pod, query, _body, _entry):
    """The log of a pod: tailLines, sinceSeconds ignored, previous, container."""
    names = [c["name"] for c in pod.get("spec", {}).get("containers", [])]
    if not query.get("container") and len(names) > 1:
        return 400, {"fail": {"message": f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: "
                                         f"[{' '.join(names)}]"}}
    text = pod.get("status", {}).get("previousLogs" if query.get("previous") == "true" else "logs")
    if text is None:
        return 400, {"fail": {"message": f'previous terminated container "main" in pod "{pod["metadata"]["name"]}" not found'}}
    lines = text.splitlines(keepends=True)
    tail = int(query.get("tailLines", len(lines)))
    return 200, "".join(lines[len(lines) - tail:] if tail < len(lines) else lines)[:int(query.get("limitBytes", 1 << 30))]


def eviction(world, pod, query, body, entry):
    """Evicts unless a budget that selects the pod allows no disruption."""
    wish = (body.get("deleteOptions") or {}).get("preconditions") or {}
    if wish.get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
        return 409, {"fail": {"message": "Precondition failed: UID in precondition"}}
    for pdb in world.all("poddisruptionbudgets", pod["metadata"]["namespace"]):
        if not label_selector(selector_text(pdb["spec"]["selector"]))(pod["metadata"].get("labels")):
            continue
        if world.now < pdb["spec"].get("blockedUntil", 0):
            return 429, {"fail": {
                "message": "Cannot evict pod as it would violate the pod's disruption budget.", "retry_after": 10,
                "details": {"causes": [{"reason": "DisruptionBudget",
                                        "message": f"The disruption budget {pdb['metadata']['name']} needs 2 healthy pods"}]}}}
    if "dryRun" not in query and not (body.get("deleteOptions") or {}).get("dryRun"):
        entry["changed"] = [["", "existed", None]]
        end(world, "pods", pod)
    return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


SUBRESOURCES = {"log": log, "eviction": eviction}


def pod(world, name, namespace="prod", owner=("ReplicaSet", "api-service-1"), node="node-1", **more):
    """Creates a pod; more: labels, spec, status, annotations, created."""
    refs = [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": f"owner-{owner[1]}", "controller": True}]
    return world.create("pods", {
        "metadata": {"name": name, "namespace": namespace, "labels": more.get("labels", {"app": "api-service"}),
                     "annotations": more.get("annotations", {}), **({"ownerReferences": refs} if owner[0] else {})},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "registry.example.net/x:1"}], **more.get("spec", {})},
        "status": more.get("status", {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": {"running": {}}}]})},
        created=more.get("created"))


def node(world, name, ready="True", **spec):
    return world.create("nodes", {
        "metadata": {"name": name, "labels": {"zone": "a"}}, "spec": spec,
        "status": {"allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"}, "nodeInfo": {"kubeletVersion": "v1.33.1"},
                   "conditions": [{"type": "MemoryPressure", "status": "False"},
                                  {"type": "DiskPressure", "status": "True" if ready != "True" else "False"},
                                  {"type": "Ready", "status": ready, "reason": "KubeletReady" if ready == "True" else
                                   "NodeStatusUnknown"}]}})
