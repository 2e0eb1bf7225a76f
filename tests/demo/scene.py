# SPDX-License-Identifier: Apache-2.0
"""The production before the trouble: the cluster objects of each fault, and the planted fault of `cut`."""
import copy

from cluster import CONTROLLERS, World
from controllers import NEVER
from validate import defaulted

NAMESPACE, SERVICE, DATABASE = "prod", "api-service", "postgres-read-replica"
FAULTS = ("slow-model", "db", "capacity", "none", "metrics-down", "cut")
DAY_S = 86400


def template(app, image):
    return {"metadata": {"labels": {"app": app}},
            "spec": {"containers": [{"name": app, "image": f"registry.example.net/{image}",
                                     "ports": [{"containerPort": 8080, "protocol": "TCP"}]}]}}


def releases(fault):
    """The two releases as (image tag, age in seconds); the second one is current."""
    if fault in ("slow-model", "cut"):
        return ("v1.0", 30 * DAY_S), ("v1.1", 300)
    return ("v0.9", 60 * DAY_S), ("v1.0", 30 * DAY_S)


def settle(world, when):
    """Runs the controllers of everything at a time in the past until nothing moves."""
    for resource in CONTROLLERS:
        for obj in world.all(resource):
            world.call_at(when, resource, obj)
    world.tick(when + 30)
    world.events = [e for e in world.events if e[0] > when + 30 and e[0] < NEVER]


def build(fault, clock, token="demo-token"):
    """A World with two releases of the service and one read replica, as they were deployed."""
    if fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}; there are {', '.join(FAULTS)}")
    start = clock()
    world = World(clock, token)
    (old, old_age), (new, new_age) = releases(fault)
    world.now = start - old_age
    world.create("deployments", defaulted("deployments", {
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"app": SERVICE},
                     "annotations": {"kubernetes.io/change-cause": f"model {old}"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": SERVICE}},
                 "template": template(SERVICE, f"model-service:{old}")}}), manager="deployer")
    world.create("statefulsets", defaulted("statefulsets", {
        "metadata": {"name": DATABASE, "namespace": NAMESPACE, "labels": {"app": DATABASE}},
        "spec": {"replicas": 1, "serviceName": DATABASE, "selector": {"matchLabels": {"app": DATABASE}},
                 "template": template(DATABASE, "postgres:16.4")}}), manager="deployer")
    settle(world, world.now)
    world.now = start - new_age
    dep = copy.deepcopy(world.get("deployments", NAMESPACE, SERVICE))
    dep["metadata"]["annotations"]["kubernetes.io/change-cause"] = f"model {new}"
    dep["metadata"]["generation"] += 1
    dep["spec"]["template"] = defaulted("deployments", {"spec": {"template": template(
        SERVICE, f"model-service:{new}")}})["spec"]["template"]
    world.store("deployments", dep, "deployer")
    settle(world, world.now)
    world.now = start
    if fault == "cut":
        world.rules.append({"method": "PATCH", "do": "cut", "times": 1})
    return world
