# SPDX-License-Identifier: Apache-2.0
"""The Deployment and StatefulSet controllers of the stand-in cluster.

Pure functions of the World and a time. Pods are not objects: they are ready times, kept per
owner. A controller never looks at a clock; it asks the World to be called again at a time.
"""
import copy
import hashlib
import json
import math

from listing import label_selector, selector_text
from patch import same

READY_AFTER_S = 0.35
STEP_S = 0.05
NEVER = 1e15
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
PREFIX = "deployment.kubernetes.io/"
REVISION = PREFIX + "revision"
HISTORY = PREFIX + "revision-history"
HASH_LABEL = "pod-template-hash"
NOT_COPIED = {"kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, PREFIX + "desired-replicas",
              PREFIX + "max-replicas", "deprecated.deployment.rollback.to"}


def template_hash(template):
    """A stable short name for a template, in the alphabet of the real one."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(ALPHABET[b % len(ALPHABET)] for b in digest[:10])


def bare_template(template):
    """A template without the label that the controller adds."""
    template = copy.deepcopy(template)
    template.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    return template


def release_of(template):
    """The image tag of the first container."""
    return template["spec"]["containers"][0]["image"].rpartition(":")[2]


def owner(obj, kind):
    return [{"apiVersion": "apps/v1", "kind": kind, "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"],
             "controller": True, "blockOwnerDeletion": True}]


def owned(world, obj, resource):
    """Objects of a resource in the namespace whose controller is obj and that its selector matches."""
    chosen = label_selector(selector_text(obj["spec"]["selector"]))
    return [o for o in world.all(resource, obj["metadata"]["namespace"])
            if chosen(o["metadata"].get("labels")) and any(
                r.get("controller") and r["uid"] == obj["metadata"]["uid"]
                for r in o["metadata"].get("ownerReferences", []))]


def revision(obj):
    try:
        return int(obj["metadata"].get("annotations", {}).get(REVISION, 0))
    except ValueError:
        return 0


def resolve(value, replicas, round_up):
    if isinstance(value, str):
        share = int(value.rstrip("%")) * replicas / 100
        return math.ceil(share) if round_up else math.floor(share)
    return value


def condition(kind, status, reason, message, stamp, old):
    """A condition that keeps its transition time while its status stays the same."""
    before = next((c for c in old if c["type"] == kind), None)
    if before and before["status"] == status and before["reason"] == reason:
        return before
    kept = before["lastTransitionTime"] if before and before["status"] == status else stamp
    return {"type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": stamp, "lastTransitionTime": kept}


# --- Deployment

def find_new(dep, sets):
    bare = bare_template(dep["spec"]["template"])
    equal = [rs for rs in sets if same(bare_template(rs["spec"]["template"]), bare)]
    return min(equal, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]), default=None)


def make_replica_set(world, dep):
    meta, template = dep["metadata"], copy.deepcopy(dep["spec"]["template"])
    short = template_hash(bare_template(template))
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = short
    selector = copy.deepcopy(dep["spec"]["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = short
    return world.create("replicasets", {
        "metadata": {"name": f"{meta['name']}-{short}", "namespace": meta["namespace"],
                     "labels": dict(template["metadata"]["labels"]), "annotations": {},
                     "ownerReferences": owner(dep, "Deployment")},
        "spec": {"replicas": 0, "selector": selector, "template": template}, "status": {"replicas": 0}})


def number(world, dep, new, old):
    """Gives the ReplicaSet in use the highest revision and copies the annotations, as the real controller."""
    next_revision = max((revision(rs) for rs in old), default=0) + 1
    rs = copy.deepcopy(new)
    notes = rs["metadata"].setdefault("annotations", {})
    had = revision(rs)
    if had < next_revision:
        notes[REVISION] = str(next_revision)
        if had:
            notes[HISTORY] = ",".join(filter(None, [notes.get(HISTORY), str(had)]))
    notes.update({k: v for k, v in dep["metadata"].get("annotations", {}).items() if k not in NOT_COPIED})
    want = dep["spec"]["replicas"]
    surge = resolve(dep["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge", "25%"), want, True)
    notes[PREFIX + "desired-replicas"] = str(want)
    notes[PREFIX + "max-replicas"] = str(want + surge)
    new = world.store("replicasets", rs)
    changed = copy.deepcopy(dep)
    changed["metadata"].setdefault("annotations", {})[REVISION] = notes[REVISION]
    return world.store("deployments", changed), new


def move_pods(world, dep, new, old, now):
    """One step of the strategy over the ready times; returns whether anything moved."""
    want, strategy = dep["spec"]["replicas"], dep["spec"]["strategy"]
    rolling = strategy.get("rollingUpdate", {})
    surge = resolve(rolling.get("maxSurge", "25%"), want, True)
    spare = resolve(rolling.get("maxUnavailable", "25%"), want, False)
    if strategy.get("type") == "Recreate":
        surge, spare = 0, want
    elif surge == 0 and spare == 0:
        spare = 1
    pods = world.pods
    mine = pods.setdefault(new["metadata"]["uid"], [])
    others = [pods.setdefault(rs["metadata"]["uid"], []) for rs in old]
    before = [len(p) for p in [mine] + others]
    wait = dep["spec"].get("minReadySeconds", 0) + READY_AFTER_S
    total = sum(before)
    room = want + surge - total
    if strategy.get("type") == "Recreate" and sum(before[1:]):
        room = 0
    ready_at = NEVER if release_of(new["spec"]["template"]) == "broken" else now + wait
    mine += [ready_at] * max(0, min(want - len(mine), room))
    mine.sort()
    del mine[want:]
    can_go = sum(1 for p in [mine] + others for at in p if at <= now) - (want - spare)
    for group in others:
        group[:] = [at for at in group if at <= now]
        gone = max(0, min(can_go, len(group)))
        del group[len(group) - gone:]
        can_go -= gone
    return before != [len(p) for p in [mine] + others]


def deployment_status(world, dep, new, sets, now):
    want, uid, stamp = dep["spec"]["replicas"], dep["metadata"]["uid"], world.stamp(now)
    counts = {rs["metadata"]["uid"]: len(world.pods.get(rs["metadata"]["uid"], [])) for rs in sets}
    ready = sum(1 for key in counts for at in world.pods.get(key, []) if at <= now)
    total, updated = sum(counts.values()), counts[new["metadata"]["uid"]] if new else 0
    numbers = {"replicas": total, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": ready,
               "unavailableReplicas": max(0, total - ready) or max(0, want - ready)}
    status = {"observedGeneration": dep["metadata"]["generation"], **{k: v for k, v in numbers.items() if v}}
    old = dep.get("status", {}).get("conditions", [])
    done = updated == want and total == want and ready == want
    spare = resolve(dep["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", "25%"), want, False)
    up = ready >= want - spare
    conditions = [condition("Available", "True" if up else "False",
                            "MinimumReplicasAvailable" if up else "MinimumReplicasUnavailable",
                            "Deployment has minimum availability." if up else
                            "Deployment does not have minimum availability.", stamp, old)]
    name = new["metadata"]["name"] if new else ""
    deadline = dep["spec"].get("progressDeadlineSeconds")
    since = world.since.setdefault(uid, [dep["metadata"]["generation"], ready, now])
    if since[:2] != [dep["metadata"]["generation"], ready]:
        world.since[uid] = since = [dep["metadata"]["generation"], ready, now]
    if dep["spec"].get("paused"):
        conditions.append(condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", stamp, old))
    elif deadline is not None:
        if done:
            progress = ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        elif now - since[2] >= deadline:
            progress = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
        else:
            progress = ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
            world.call_at(since[2] + deadline, "deployments", dep)
        conditions.append(condition("Progressing", *progress, stamp, old))
    status["conditions"] = conditions
    return status, done


def sync_deployment(world, dep, now):
    sets = owned(world, dep, "replicasets")
    new = find_new(dep, sets)
    if not dep["spec"].get("paused"):
        if new is None:
            new = make_replica_set(world, dep)
        old = [rs for rs in sets if rs["metadata"]["uid"] != new["metadata"]["uid"]]
        dep, new = number(world, dep, new, old)
    else:
        old = [rs for rs in sets if new is None or rs["metadata"]["uid"] != new["metadata"]["uid"]]
    base = new
    if new is None or dep["spec"].get("paused"):     # a paused deployment scales what is in service
        base = max(sets, key=lambda rs: (len(world.pods.get(rs["metadata"]["uid"], [])), revision(rs)), default=None)
    moved = False
    if base is not None:
        frozen = [rs for rs in old if rs["metadata"]["uid"] != base["metadata"]["uid"]]
        moved = move_pods(world, dep, base, [] if dep["spec"].get("paused") else frozen, now)
    sets = owned(world, dep, "replicasets")
    for rs in sets:
        pods = world.pods.get(rs["metadata"]["uid"], [])
        ready = sum(1 for at in pods if at <= now)
        changed = copy.deepcopy(rs)
        changed["spec"]["replicas"] = len(pods)
        numbers = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
        changed["status"] = {"replicas": len(pods), **{k: v for k, v in numbers.items() if v}}
        world.store("replicasets", changed)
    status, done = deployment_status(world, dep, new, sets, now)
    world.store("deployments", {**dep, "status": status})
    coming = [at for rs in sets for at in world.pods.get(rs["metadata"]["uid"], []) if now < at < NEVER]
    if moved:
        world.call_at(now + STEP_S, "deployments", dep)
    elif coming:
        world.call_at(min(coming), "deployments", dep)
    if done:
        prune(world, dep, new)


def prune(world, dep, new):
    """Deletes the oldest empty ReplicaSets beyond revisionHistoryLimit."""
    empty = [rs for rs in owned(world, dep, "replicasets")
             if rs["metadata"]["uid"] != new["metadata"]["uid"] and not rs["spec"]["replicas"]]
    empty.sort(key=revision)
    for rs in empty[:max(0, len(empty) - dep["spec"]["revisionHistoryLimit"])]:
        world.remove("replicasets", rs)


# --- StatefulSet

def stateful_revision(world, sts, kind="StatefulSet"):
    """The ControllerRevision of the current template: reused with a new highest number, or created."""
    data = {"spec": {"template": {**copy.deepcopy(sts["spec"]["template"]), "$patch": "replace"}}}
    known = owned(world, sts, "controllerrevisions")
    top = max((cr["revision"] for cr in known), default=0)
    for cr in known:
        if same(cr["data"], data):
            if cr["revision"] < top:
                cr = world.store("controllerrevisions", {**copy.deepcopy(cr), "revision": top + 1})
            return cr
    meta = sts["metadata"]
    return world.create("controllerrevisions", {
        "metadata": {"name": f"{meta['name']}-{template_hash(sts['spec']['template'])}",
                     "namespace": meta["namespace"], "labels": dict(sts["spec"]["selector"]["matchLabels"]),
                     "ownerReferences": owner(sts, kind)},
        "data": data, "revision": top + 1})


def sync_statefulset(world, sts, now):
    """Pods are [ready time, revision name]; they come, change and go one at a time."""
    current = stateful_revision(world, sts)["metadata"]["name"]
    want = sts["spec"]["replicas"]
    pods = world.pods.setdefault(sts["metadata"]["uid"], [])
    parallel = sts["spec"].get("podManagementPolicy") == "Parallel"
    partition = sts["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    settled = all(at <= now for at, _ in pods)
    moved = True
    ready_at = NEVER if release_of(sts["spec"]["template"]) == "broken" else now + READY_AFTER_S
    stale = [i for i, (_, rev) in enumerate(pods) if rev != current and i >= partition]
    if len(pods) > want:
        pods.pop()
    elif len(pods) < want and (settled or parallel):
        pods.append([ready_at, current])
    elif stale and settled and sts["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
        pods[stale[-1]] = [ready_at, current]
    else:
        moved = False
    ready = sum(1 for at, _ in pods if at <= now)
    updated = sum(1 for _, rev in pods if rev == current)
    before = sts.get("status", {}).get("currentRevision") or current
    done = updated == len(pods) and ready == len(pods)
    numbers = {"readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": updated,
               "currentReplicas": len(pods) if done else len(pods) - updated}
    status = {"observedGeneration": sts["metadata"]["generation"], "replicas": len(pods),
              "currentRevision": current if done else before, "updateRevision": current, "collisionCount": 0,
              **{k: v for k, v in numbers.items() if v}}
    world.store("statefulsets", {**sts, "status": status})
    coming = [at for at, _ in pods if now < at < NEVER]
    if coming:
        world.call_at(min(coming), "statefulsets", sts)
    if moved:
        world.call_at(now + STEP_S, "statefulsets", sts)


CONTROLLERS = {"deployments": sync_deployment, "statefulsets": sync_statefulset}
