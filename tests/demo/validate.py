# SPDX-License-Identifier: Apache-2.0
"""Defaults and validation of the workload kinds, as far as a client can notice them."""
import copy
import re

from listing import label_selector, selector_text

POD_DEFAULTS = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                "securityContext": {}, "schedulerName": "default-scheduler"}
CONTAINER_DEFAULTS = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                      "imagePullPolicy": "IfNotPresent", "resources": {}}
SPEC_DEFAULTS = {
    "deployments": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "statefulsets": {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
    "replicasets": {"replicas": 1},
    "daemonsets": {"revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate"}},
}


class Invalid(Exception):
    """A field that the API refuses; the text is the message of the cause."""

    def __init__(self, field, message, reason="FieldValueInvalid"):
        super().__init__(message)
        self.field, self.reason = field, reason


def defaulted(resource, obj):
    """The object with the defaults that the API server fills in."""
    if resource not in SPEC_DEFAULTS or not isinstance(obj.get("spec"), dict):
        return obj
    obj = copy.deepcopy(obj)
    spec = obj["spec"]
    for key, value in SPEC_DEFAULTS[resource].items():
        if spec.get(key) is None:
            spec[key] = copy.deepcopy(value)
    if resource == "deployments":
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxSurge", "25%")
            rolling.setdefault("maxUnavailable", "25%")
    pod = (spec.get("template") or {}).get("spec")
    if isinstance(pod, dict):
        for key, value in POD_DEFAULTS.items():
            pod.setdefault(key, copy.deepcopy(value))
        for container in pod.get("containers") or []:
            for key, value in CONTAINER_DEFAULTS.items():
                container.setdefault(key, copy.deepcopy(value))
    return obj


def check_new_job(spec):
    """The server makes the selector of a job, and its labels."""
    template = spec.get("template") or {}
    if spec.get("selector") and not spec.get("manualSelector"):
        raise Invalid("spec.selector", "Invalid value: `selector` not auto-generated")
    for label in (template.get("metadata") or {}).get("labels") or {}:
        if label.endswith(("controller-uid", "job-name")):
            raise Invalid(f"spec.template.metadata.labels[{label}]", "Invalid value: must be the job's own")
    if not (template.get("spec") or {}).get("containers"):
        raise Invalid("spec.template.spec.containers", "Required value", "FieldValueRequired")


def check(resource, obj, before):
    """Raises Invalid for what the API would refuse with 422."""
    if resource == "jobs" and before is None:
        check_new_job(obj.get("spec") or {})
    if resource not in SPEC_DEFAULTS:
        return
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        raise Invalid("spec", "Required value", "FieldValueRequired")
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise Invalid("spec.replicas", f"Invalid value: {replicas!r}: must be an integer")
    if replicas < 0:
        raise Invalid("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
    selector, template = spec.get("selector"), spec.get("template")
    if not isinstance(selector, dict) or not isinstance(template, dict):
        raise Invalid("spec.selector", "Required value", "FieldValueRequired")
    if before is not None and selector != before["spec"]["selector"]:
        raise Invalid("spec.selector", "Invalid value: field is immutable")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not label_selector(selector_text(selector))(labels):
        raise Invalid("spec.template.metadata.labels", f"Invalid value: {labels}: `selector` does not match template "
                                                       "`labels`")
    containers = (template.get("spec") or {}).get("containers")
    if not containers:
        raise Invalid("spec.template.spec.containers", "Required value", "FieldValueRequired")
    for i, container in enumerate(containers):
        if not container.get("name") or not container.get("image"):
            raise Invalid(f"spec.template.spec.containers[{i}].image", "Required value", "FieldValueRequired")
    notes = obj["metadata"].get("annotations", {})
    if any(not isinstance(v, str) for v in notes.values()):
        raise Invalid("metadata.annotations", "Invalid value: must be strings")
    for value in (spec.get("strategy", {}).get("rollingUpdate") or {}).values():
        if isinstance(value, str) and not re.fullmatch(r"\d+%", value):
            raise Invalid("spec.strategy.rollingUpdate", f"Invalid value: {value!r}: a valid percent string must be a "
                                                         "numeric string followed by an ending '%'")
