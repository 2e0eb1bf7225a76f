#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs and cron jobs of the kubernetes plugin: a failed job is run again once, under a name that is found again, and cron
jobs are held and let go. Against the stand-in of the API server, in virtual time.

Prints `ok - name` or `not ok - name: why` per case."""

import stand
from kubernetes_flow import NOW, Cases, Cluster, effect, ended, one_effect, shown

UID = "5f2c7a10-77d0-4a57-9c41-1f2d3c4b5a69"
COPY = ("jobs", "prod", "import-rerun-5f2c7a10")
TARGET = "job/prod/import"
JOBS, CRONJOBS = "/apis/batch/v1/namespaces/prod/jobs", "/apis/batch/v1/namespaces/prod/cronjobs/"
EFFECTS = {
    "rerun": effect("rerun", TARGET, 'kubernetes.job("prod", "import"):rerun()', "POST", JOBS,
                    (*COPY, "spec.template.spec.restartPolicy", "Never"), opposite=False),
    "suspend": effect("suspend", "cronjob/prod/backup", 'kubernetes.cronjob("prod", "backup"):suspend()', "PATCH",
                      CRONJOBS + "backup", ("cronjobs", "prod", "backup", "spec.suspend", True), opposite=False),
    "resume": effect("resume", "cronjob/prod/held", 'kubernetes.cronjob("prod", "held"):resume()', "PATCH", CRONJOBS + "held",
                     ("cronjobs", "prod", "held", "spec.suspend", False), opposite=True),
}
RERUN = """local j = kubernetes.job("prod", "%s")
eq("before", known(observe { r = j:rerun_state() }, "r") and observe(j:rerun_state()).name or "", "")
remedy("again", j:rerun(), { verify = "applied" })
local r = observe(j:rerun_state())
eq("name", r.name, "import-rerun-5f2c7a10") eq("failed", r.failed, 0) eq("complete", r.complete, false) resolve "done\""""
CRON = """local o = observe { held = kubernetes.cronjob("prod", "held"):state(), runs = kubernetes.cronjob("prod", "backup"):state() }
eq("held", o.held.suspended, true) eq("runs", o.runs.suspended, false) eq("ago", o.held.scheduled_ago >= 3600, true)
eq("never", o.held.succeeded_ago, nil) eq("active", o.held.active, 0) eq("schedule", o.held.schedule, "0 3 * * *")"""


def furnish(world):
    """A failed and a complete job as the API server keeps them, and two cron jobs."""
    for name, how in (("import", "Failed"), ("fine", "Complete")):
        own = {"controller-uid": UID, "batch.kubernetes.io/job-name": name}
        world.create("jobs", {
            "metadata": {"name": name, "namespace": "prod", "labels": {**own, "team": "data", "argocd.argoproj.io/instance": "x"},
                         "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "n"},
                         "ownerReferences": [{"kind": "CronJob", "name": "backup", "uid": "u", "controller": True}]},
            "spec": {"backoffLimit": 3, "selector": {"matchLabels": {"controller-uid": UID}}, "template": {
                "metadata": {"labels": {**own, "app": name}},
                "spec": {"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}],
                         "containers": [{"name": "main", "image": "x:1", "args": []}]}}},
            "status": {"failed": 3, "conditions": [{"type": how, "status": "True", "reason": "x"}]}})["metadata"]["uid"] = UID
    for name, suspend in (("backup", False), ("held", True)):
        world.create("cronjobs", {"metadata": {"name": name, "namespace": "prod"}, "spec": {
            "schedule": "0 3 * * *", "suspend": suspend}, "status": {"lastScheduleTime": world.stamp(NOW - 3600)}})


def taken(world):
    world.create("jobs", {"metadata": {"name": COPY[2], "namespace": "prod"}, "spec": {}})


def manual(world):
    job = world.get("jobs", "prod", "import")
    world.store("jobs", {**job, "spec": {**job["spec"], "manualSelector": True}})


# What is refused before anything is sent: the job, a change of the world, words of why.
REFUSED = {
    "a job that has not failed": ("fine", None, "has not failed"),
    "a name that somebody has": ("import", taken, "it is no rerun of this one"),
    "a job that selects its pods itself": ("import", manual, "manualSelector"),
}
COPIED = [("metadata.labels", {"team": "data"}), ("metadata.annotations", {"note": "n", "midwatch/rerun-of": UID}),
          ("metadata.ownerReferences", None), ("spec.selector", None), ("status", None), ("spec.backoffLimit", 3),
          ("spec.template.metadata.labels", {"app": "import"}), ("spec.template.spec.volumes.0.emptyDir", {}),
          ("spec.template.spec.containers.0.args", [])]


def every(cases):
    furnish(cases.flow.fresh.world)
    for name, e in EFFECTS.items():
        one_effect(cases, name, e)
    world = Cluster(cases.flow.fresh)
    result, report = cases.run(world, RERUN % "import", "rerun", TARGET)
    cases.say("what a rerun copies", ended(result, "resolved", "verified") or
              shown(world, [(*COPY, *each) for each in COPIED]), report)
    for name, (job, change, why) in REFUSED.items():
        world = Cluster(cases.flow.fresh, change=change)
        result, report = cases.run(world, RERUN % job, "rerun", "job/prod/" + job)
        cases.say("refused: " + name, ended(result, "escalated", "error") or (None if why in report and not world.effects()
                                                                             else f"{why}: {world.effects()}"), report)
    result, report = cases.run(Cluster(cases.flow.fresh), CRON)
    cases.say("cron jobs", ended(result, "no_action", "runbook"), report)


if __name__ == "__main__":
    stand.play(__doc__, Cases, every)
