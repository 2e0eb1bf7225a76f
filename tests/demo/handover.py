# SPDX-License-Identifier: Apache-2.0
"""The files that the demo leaves for whoever operates the production: kubeconfig, midwatch.yaml, alert.json."""
import base64
import datetime
import hashlib
import json
import os

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: demo
clusters:
  - name: demo
    cluster:
      server: {server}
{authority}contexts:
  - name: demo
    context: {{cluster: demo, user: demo, namespace: {namespace}}}
users:
  - name: demo
    user:
      token: {token}
"""
CONFIG = """\
instances:
  prod-eu:
    plugin: kubernetes
    kubeconfig: {kubeconfig}
    context: demo
  metrics:
    plugin: prometheus
    url: {metrics}
    window: 10s
"""


def put(path, text):
    """Writes a file so that a reader sees all of it or none."""
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def kubeconfig(directory, server, token, namespace, ca_file=None):
    """Writes the kubeconfig and returns its absolute path."""
    authority = ""
    if ca_file:
        with open(ca_file, "rb") as pem:
            authority = f"      certificate-authority-data: {base64.b64encode(pem.read()).decode()}\n"
    path = os.path.abspath(os.path.join(directory, "kubeconfig"))
    put(path, KUBECONFIG.format(server=server, authority=authority, namespace=namespace, token=token))
    return path


def config(directory, kubeconfig_path, metrics_url):
    put(os.path.join(directory, "midwatch.yaml"),
        CONFIG.format(kubeconfig=json.dumps(kubeconfig_path), metrics=metrics_url))


def alert(directory, service, namespace, metrics_url, now):
    """An Alertmanager webhook payload, version 4, with one firing HighLatency."""
    labels = {"alertname": "HighLatency", "namespace": namespace, "service": service, "severity": "critical"}
    notes = {"summary": f"API p95 latency of {service} is above 2 s"}
    group = {"alertname": "HighLatency", "service": service}
    since = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).isoformat(timespec="milliseconds")
    payload = {
        "version": "4", "groupKey": f'{{}}:{{alertname="HighLatency", service="{service}"}}', "truncatedAlerts": 0,
        "status": "firing", "receiver": "midwatch", "notification_reason": "first notification",
        "groupLabels": group, "commonLabels": labels, "commonAnnotations": notes, "routeLabels": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": [{"status": "firing", "labels": labels, "annotations": notes,
                    "startsAt": since.replace("+00:00", "Z"), "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": f"{metrics_url}/graph?g0.expr=p95",
                    "fingerprint": hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16]}]}
    put(os.path.join(directory, "alert.json"), json.dumps(payload, indent=1) + "\n")
