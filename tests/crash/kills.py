# SPDX-License-Identifier: Apache-2.0
"""Real processes killed at random: `midwatch run` against the cluster stand-in, kill -9, `midwatch resume`, until it
has ended; then the cluster must show the wanted replicas and exactly one change."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "demo"))
# pylint: disable=wrong-import-position
import demo  # noqa: E402

KILL_WITHIN_S = 0.08
ENDS_WITHIN_S = 120


class Cluster:
    """What the stand-in shows of the deployment."""

    def __init__(self, directory):
        text = (directory / "kubeconfig").read_text()
        self.server = re.search(r'"?server"?: *"?([^"\s,}]+)', text).group(1)
        self.token = re.search(r'"?token"?: *"?([^"\s,}]+)', text).group(1)

    def deployment(self):
        request = urllib.request.Request(self.server + "/apis/apps/v1/namespaces/prod/deployments/api-service",
                                         headers={"Authorization": "Bearer " + self.token})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        return found["spec"]["replicas"], found["metadata"]["generation"]


def midwatch(program, directory, *words, kill_after=None):
    """Runs it; None if it was killed."""
    p = subprocess.Popen([str(program), *words, "--config", str(directory / "midwatch.yaml"), "--state",
                          str(directory / "state")], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if kill_after is not None:
        time.sleep(kill_after)
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
            p.communicate()
            return None
    out, err = p.communicate(timeout=ENDS_WITHIN_S)
    return p.returncode, out, err


def newest(program, directory):
    """(id, state, outcome) of the newest run, or None."""
    code, out, _ = midwatch(program, directory, "list", "-o", "json")
    runs = json.loads(out) if code == 0 and out.strip() else []
    runs = runs["runs"] if isinstance(runs, dict) else runs
    return (runs[0]["id"], runs[0]["state"], runs[0].get("outcome")) if runs else None


def once(program, directory, cluster, number):
    """One run, killed up to three times. Returns what is wrong, or None."""
    replicas = 2 + number % 7
    before, generation = cluster.deployment()
    seen = newest(program, directory)
    last = seen[0] if seen else 0
    kills = [random.uniform(0, KILL_WITHIN_S) for _ in range(random.randint(1, 3))]
    for kill_after in kills + [None] * 6:
        now = newest(program, directory)
        if now and now[0] > last:
            if now[1] == "ended":
                break
            words = ("resume", str(now[0]))
        else:
            words = ("run", str(ROOT / "tests/crash/kill-flow.md"), "-p", f"replicas={replicas}")
        midwatch(program, directory, *words, kill_after=kill_after)
    now = newest(program, directory)
    if not now or now[0] <= last or now[1] != "ended":
        return f"run {number} did not end: {now}"
    if now[2] != "resolved":
        return f"run {number} ended {now[2]}"
    after, generation_after = cluster.deployment()
    changes = 0 if before == replicas else 1
    if after != replicas or generation_after != generation + changes:
        return f"run {number}: {before} -> {replicas} shows {after} with {generation_after - generation} changes"
    return None


def loop(build, count):
    """`count` killed runs. Returns (tried, failures)."""
    seed = int(os.environ.get("CRASH_SEED", "0")) or random.randrange(1 << 30)
    random.seed(seed)
    print(f"crash: {count} real runs, CRASH_SEED={seed}", flush=True)
    failures = []
    with tempfile.TemporaryDirectory(prefix="midwatch-kills-") as scratch:
        directory = pathlib.Path(scratch)
        with open(directory / "world.log", "w", encoding="utf-8") as log:
            world = demo.start_world(directory, "none", log)
            try:
                cluster = Cluster(directory)
                for number in range(count):
                    wrong = once(build / "midwatch", directory, cluster, number)
                    if wrong:
                        failures.append(wrong)
            finally:
                demo.stop_world(world)
    return count, failures
