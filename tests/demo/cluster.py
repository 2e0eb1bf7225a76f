# SPDX-License-Identifier: Apache-2.0
"""The stand-in of the Kubernetes API server: its state and its answers, without sockets or threads.

A World takes its clock as an argument, so that virtual time drives it as well as the real one, and
its whole state goes through dump and load. `handle` answers one request the way the API does;
a status of None means that the connection closes without an answer. Every write that arrives is in
`log`; `effects` are those that changed something.
"""
import copy
import datetime
import heapq
import json
import re

import fleet
import listing
import patch
from controllers import CONTROLLERS, release_of
from validate import Invalid, check, defaulted

KINDS = {
    "deployments": ("apps", "v1", "Deployment", True),
    "replicasets": ("apps", "v1", "ReplicaSet", True),
    "statefulsets": ("apps", "v1", "StatefulSet", True),
    "controllerrevisions": ("apps", "v1", "ControllerRevision", False),
    "horizontalpodautoscalers": ("autoscaling", "v2", "HorizontalPodAutoscaler", False),
    **fleet.KINDS,
}
CONTROLLERS = {**CONTROLLERS, **fleet.CONTROLLERS}
PATCHES = {
    "application/json-patch+json": patch.json_patch,
    "application/merge-patch+json": patch.merge,
    "application/strategic-merge-patch+json": patch.strategic,
}
VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "POST": "create", "DELETE": "delete"}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
           409: "Conflict", 410: "Expired", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests",
           500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
PATH = re.compile(r"^/(api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(/namespaces/(?P<ns>[^/]+)(?=/.))?"
                  r"/(?P<resource>[^/]+)(/(?P<name>[^/]+)(/(?P<sub>[^/]+))?)?$")
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SYNC_AFTER_S = 0.05
LOG_MAX = 10000


class Failure(Exception):
    """An answer that is a Status object."""

    def __init__(self, code, message, details=None, reason=None, retry_after=None):
        super().__init__(message)
        self.code, self.message, self.details = code, message, dict(details or {})
        self.reason, self.retry_after = reason or REASONS.get(code, "Unknown"), retry_after


class World:
    """Objects, hidden pods, pending controller calls, planted faults and the log of writes."""

    STATE = ("objects", "pods", "since", "events", "version", "serial", "now", "log", "rules", "denied", "token")

    def __init__(self, clock, token="demo-token"):
        self.clock, self.token = clock, token
        self.objects, self.pods, self.since = {}, {}, {}
        self.events, self.log, self.rules, self.denied = [], [], [], []
        self.version, self.serial, self.now = 1000, 0, clock()

    def dump(self):
        """The whole state as JSON text."""
        return json.dumps({name: getattr(self, name) for name in self.STATE}, sort_keys=True)

    def load(self, text):
        """Takes over a dumped state."""
        for name, value in json.loads(text).items():
            setattr(self, name, value)
        return self

    # --- what the controllers and the scene use

    def stamp(self, when):
        return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def all(self, resource, namespace=None):
        """The objects of a resource in the order of namespace and name."""
        start = f"{resource}/{namespace}/" if namespace else f"{resource}/"
        return [self.objects[k] for k in sorted(self.objects) if k.startswith(start)]

    def get(self, resource, namespace, name):
        return self.objects.get(f"{resource}/{namespace or ''}/{name}")

    def create(self, resource, obj, created=None, manager="kube-controller-manager"):
        """Stores a new object with uid and creation time."""
        group, version, kind, _ = KINDS[resource]
        self.serial += 1
        meta = {**obj["metadata"], "uid": f"{self.serial:08x}-77d0-4a57-9c41-1f2d3c4b5a69",
                "creationTimestamp": self.stamp(self.now if created is None else created)}
        if "spec" in obj:
            meta["generation"] = 1
        return self.store(resource, {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, **obj,
                                     "metadata": meta}, manager)

    def store(self, resource, obj, manager="kube-controller-manager"):
        """Stores an object as it is; nothing happens, not even a new version, when it is equal."""
        obj = copy.deepcopy(obj)
        key = f"{resource}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        if key in self.objects and patch.same(self.objects[key], obj):
            return self.objects[key]
        self.version += 1
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self.version)
        fields = [f for f in meta.get("managedFields", []) if f["manager"] != manager]
        meta["managedFields"] = fields + [{"manager": manager, "operation": "Update", "apiVersion": obj["apiVersion"],
                                           "time": self.stamp(self.now), "fieldsType": "FieldsV1", "fieldsV1": {}}]
        self.objects[key] = obj
        return obj

    def remove(self, resource, obj):
        meta = obj["metadata"]
        self.version += 1
        self.objects.pop(f"{resource}/{meta.get('namespace', '')}/{meta['name']}", None)
        self.pods.pop(meta["uid"], None)

    def call_at(self, when, resource, obj):
        """Asks for a controller call on an object at a time."""
        event = [when, f"{resource}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"]
        if event not in self.events:
            heapq.heappush(self.events, event)

    def tick(self, now=None):
        """Lets the controllers do everything that is due until now."""
        now = self.clock() if now is None else now
        while self.events and self.events[0][0] <= now:
            when, key = heapq.heappop(self.events)
            self.now = max(self.now, when)
            if key in self.objects:
                CONTROLLERS[key.split("/")[0]](self, self.objects[key], self.now)
        self.now = max(self.now, now)

    def traffic(self, namespace, deployment, database):
        """What serves now: ready pods per release of a deployment, and ready pods of a statefulset."""
        self.tick()
        releases = {}
        for rs in self.all("replicasets", namespace):
            owners = rs["metadata"].get("ownerReferences", [])
            ready = sum(1 for at in self.pods.get(rs["metadata"]["uid"], []) if at <= self.now)
            if ready and any(o["name"] == deployment for o in owners):
                tag = release_of(rs["spec"]["template"])
                releases[tag] = releases.get(tag, 0) + ready
        sts = self.get("statefulsets", namespace, database)
        pods = self.pods.get(sts["metadata"]["uid"], []) if sts else []
        return {"releases": releases, "database": sum(1 for at, _ in pods if at <= self.now)}

    def effects(self):
        """The log entries that changed something stored."""
        return [e for e in self.log if e["status"] < 300 and not e["dry_run"] and e["changed"]]

    # --- requests

    def handle(self, method, path, query=None, headers=None, body=b""):
        """Answers one request: (status, headers, body); status None drops the connection."""
        self.tick()
        query, headers = dict(query or {}), {k.lower(): v for k, v in (headers or {}).items()}
        rule = self._rule(method, path, query)
        do = rule["do"] if rule else None
        if do == "drop":
            return None, {}, b""
        if do == "interfere":
            self._interfere(rule)
        if do == "raw":
            return rule.get("code", 200), {"Content-Type": rule.get("type", "text/html")}, rule["body"].encode()
        entry, extra = None, {}
        try:
            if headers.get("authorization") != f"Bearer {self.token}":
                raise Failure(401, "Unauthorized")
            if do == "status":
                raise Failure(rule["code"], rule.get("message", "planted fault"), rule.get("details"),
                              rule.get("reason"), rule.get("retry_after"))
            if method != "GET" and path != REVIEWS:
                entry = self._enter(method, path, query)
            status, answer = self._route(method, path, query, headers, body, entry)
        except Failure as bad:
            status, answer, extra = bad.code, self._status(bad), {}
            if bad.retry_after is not None:
                extra["Retry-After"] = str(bad.retry_after)
        if entry is not None:
            entry["status"], entry["answered"] = status, do != "cut" or not entry["changed"]
            if do == "cut" and entry["answered"]:
                rule["times"] += 1
        if do == "cut" and entry is not None and entry["changed"]:
            return None, {}, b""
        if isinstance(answer, str):
            return status, {"Content-Type": "text/plain; charset=utf-8"}, answer.encode()
        return status, {"Content-Type": "application/json", **extra}, json.dumps(answer, separators=(",", ":")).encode()

    def _rule(self, method, path, query):
        """The first planted fault that fits; a rule for a write leaves dry runs alone unless it says dry_run."""
        for rule in self.rules:
            if rule.get("times", 1) <= 0 or rule.get("method", method) != method:
                continue
            if not re.search(rule.get("path", ""), path):
                continue
            if method != "GET" and "dryRun" in query and not rule.get("dry_run"):
                continue
            if rule.get("after", 0) > 0:
                rule["after"] -= 1
                continue
            rule["times"] = rule.get("times", 1) - 1
            return rule
        return None

    def _interfere(self, rule):
        """Somebody else changes an object just before the request is looked at."""
        obj = self.get(*rule["object"])
        after = defaulted(rule["object"][0], patch.merge(obj, rule["patch"]))
        self._commit(rule["object"][0], obj, after, rule.get("manager", "kubectl-edit"))

    def _enter(self, method, path, query):
        if len(self.log) >= LOG_MAX:
            raise Failure(500, "the log of the stand-in is full")
        entry = {"time": self.now, "method": method, "path": path, "manager": query.get("fieldManager", "unknown"),
                 "object": None, "changed": [], "dry_run": "dryRun" in query, "status": 0, "answered": True}
        self.log.append(entry)
        return entry

    def _status(self, bad):
        details = dict(bad.details)
        if bad.retry_after is not None:
            details["retryAfterSeconds"] = bad.retry_after
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": bad.message,
                "reason": bad.reason, **({"details": details} if details else {}), "code": bad.code}

    def _route(self, method, path, query, headers, body, entry):
        if path == "/version":
            return 200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
        if path in ("/readyz", "/livez", "/healthz"):
            return 200, "ok"
        if path == REVIEWS and method == "POST":
            return 201, self._review(self._json(body))
        found = fleet.discovery(KINDS, path) if method == "GET" else None
        if found:
            return 200, found
        match = PATH.match(path)
        at = match.groupdict() if match else {}
        at["group"] = at.get("group") or ""
        known = KINDS.get(fleet.resource_of(at))
        if not known or known[:2] != (at["group"], at["version"]) or fleet.is_absent(self, at):
            return 404, "404 page not found\n"
        at["resource"] = fleet.resource_of(at)
        if at["sub"] and at["sub"] not in ("scale", "log", "eviction") or at["sub"] == "scale" and not known[3]:
            raise Failure(404, "the server could not find the requested resource")
        self._authorize(method, at)
        if query.get("dryRun", "All") != "All":
            raise Failure(422, f'dryRun: Unsupported value: "{query["dryRun"]}": supported values: "All"')
        if len(query.get("fieldManager", "")) > 128:
            raise Failure(422, "fieldManager: Too long: may not be more than 128 bytes")
        if not at["name"]:
            return self._collection(method, at, query, body, entry)
        obj = self.get(at["resource"], at["ns"], at["name"])
        if obj is None:
            raise Failure(404, f'{at["resource"]}{"." if at["group"] else ""}{at["group"]} "{at["name"]}" not found',
                          self._details(at))
        if entry is not None:
            entry["object"] = f"{known[2].lower()}/{at['ns']}/{at['name']}"
        if at["sub"] in fleet.SUBRESOURCES:
            answer = fleet.SUBRESOURCES[at["sub"]](self, obj, query, self._json(body) if method == "POST" else {}, entry)
            if isinstance(answer, tuple) and isinstance(answer[1], dict) and "fail" in answer[1]:
                raise Failure(answer[0], **answer[1]["fail"])
            return answer
        return self._object(method, at, obj, query, headers, body, entry)

    def _details(self, at):
        return {"name": at["name"], "group": at["group"], "kind": at["resource"]}

    def _json(self, body):
        try:
            return json.loads(body)
        except ValueError as bad:
            raise Failure(400, f"error decoding request body: {bad}") from None

    def _refused(self, verb, group, resource, sub):
        return any(rule.get("verb", verb) == verb and rule.get("resource", resource) == resource
                   and rule.get("subresource", sub) == sub for rule in self.denied)

    def _authorize(self, method, at):
        verb = VERBS.get(method, method.lower()) if at["name"] or method != "GET" else "list"
        if self._refused(verb, at["group"], at["resource"], at["sub"] or ""):
            full = at["resource"] + (f"/{at['sub']}" if at["sub"] else "")
            name = f' "{at["name"]}"' if at["name"] else ""
            raise Failure(403, f'{at["resource"]}.{at["group"]}{name} is forbidden: User "demo" cannot {verb} resource '
                               f'"{full}" in API group "{at["group"]}" in the namespace "{at["ns"]}"',
                          {k: v for k, v in self._details(at).items() if v})

    def _review(self, asked):
        spec = asked.get("spec", {}) if isinstance(asked, dict) else {}
        wish = spec.get("resourceAttributes")
        if not wish and not spec.get("nonResourceAttributes"):
            raise Failure(422, "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified")
        wish = wish or {}
        refused = self._refused(wish.get("verb", ""), wish.get("group", ""), wish.get("resource", ""),
                                wish.get("subresource", ""))
        return {**asked, "metadata": {}, "status": {"allowed": not refused,
                                                    **({"reason": "no role allows it"} if refused else {})}}

    def _collection(self, method, at, query, body, entry):
        resource, (group, version, kind, _) = at["resource"], KINDS[at["resource"]]
        if method == "POST":
            return 201, self._create(at, self._json(body), query, entry)
        if method != "GET":
            raise Failure(405, "the server does not allow this method on the requested resource")
        if query.get("watch") in ("1", "true"):
            raise Failure(400, "the stand-in has no watch; poll instead")
        try:
            chosen = listing.label_selector(query.get("labelSelector"))
            fields = listing.field_selector(query.get("fieldSelector"), fleet.FIELD_LABELS.get(resource, ()))
            items = [(f"{o['metadata'].get('namespace', '')}/{o['metadata']['name']}", o) for o in self.all(resource, at["ns"])
                     if chosen(o["metadata"].get("labels")) and fields(o)]
            shown, meta = listing.page(items, query, self.version)
        except listing.BadSelector as bad:
            raise Failure(400, str(bad)) from None
        except listing.Expired as bad:
            raise Failure(410, str(bad)) from None
        shown = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in shown]
        return 200, {"kind": f"{kind}List", "apiVersion": f"{group}/{version}" if group else version, "metadata": meta,
                     "items": shown}

    def _create(self, at, obj, query, entry):
        resource, name = at["resource"], (obj.get("metadata") or {}).get("name")
        if not name or not at["ns"]:
            raise Failure(422, "metadata.name: Required value: name or generateName is required")
        at = {**at, "name": name}
        if self.get(resource, at["ns"], name):
            raise Failure(409, f'{resource}.{at["group"]} "{name}" already exists', self._details(at), "AlreadyExists")
        obj = defaulted(resource, {**obj, "metadata": {**obj["metadata"], "namespace": at["ns"]}})
        self._validate(at, obj, None)
        if "dryRun" in query:
            return obj
        stored = self.create(resource, obj, manager=query.get("fieldManager", "unknown"))
        entry["object"] = f"{KINDS[resource][2].lower()}/{at['ns']}/{name}"
        entry["changed"] = [["", None, "created"]]
        if resource in CONTROLLERS:
            self.call_at(self.now + SYNC_AFTER_S, resource, stored)
        return stored

    def _object(self, method, at, obj, query, headers, body, entry):
        view = self._scale_of(obj) if at["sub"] else obj
        if method == "GET":
            return 200, view
        if method == "DELETE" and not at["sub"]:
            wish = (self._json(body) if body else {}).get("preconditions") or {}
            if wish.get("uid", obj["metadata"]["uid"]) != obj["metadata"]["uid"]:
                raise Failure(409, "Operation cannot be fulfilled: Precondition failed: UID in precondition", self._details(at))
            if "dryRun" not in query:
                entry["changed"] = [["", "existed", None]]
                fleet.end(self, at["resource"], obj)
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                         "details": {**self._details(at), "uid": obj["metadata"]["uid"]}}
        if method == "PATCH":
            wanted = self._patched(view, headers.get("content-type", ""), body)
        elif method == "PUT":
            wanted = self._json(body)
        else:
            raise Failure(405, "the server does not allow this method on the requested resource")
        self._precondition(at, obj, wanted)
        if at["sub"]:
            replicas = (wanted.get("spec") or {}).get("replicas", 0)
            after = {**obj, "spec": {**obj["spec"], "replicas": replicas}}
        else:
            after = self._allowed_part(obj, wanted)
        after = defaulted(at["resource"], after)
        self._validate(at, after, obj)
        if "dryRun" in query:
            result = self._next(obj, after)
        else:
            result = self._commit(at["resource"], obj, after, query.get("fieldManager", "unknown"), entry)
        return 200, self._scale_of(result) if at["sub"] else result

    def _patched(self, view, content_type, body):
        apply = PATCHES.get(content_type.split(";")[0].strip().lower())
        if apply is None:
            raise Failure(415, "the body of the request was in an unknown format - accepted media types include: "
                               + ", ".join(PATCHES))
        document = self._json(body)
        if apply is not patch.json_patch and not isinstance(document, dict):
            raise Failure(400, "error decoding patch: not an object")
        try:
            return apply(view, document)
        except patch.BadPatch as bad:
            raise Failure(400, str(bad)) from None
        except patch.PatchFailed:
            raise Failure(422, "the server rejected our request due to an error in our request") from None

    def _precondition(self, at, obj, wanted):
        meta = wanted.get("metadata") if isinstance(wanted, dict) else None
        if not isinstance(meta, dict) or meta.get("name") != at["name"]:
            raise Failure(400, "the name of the object does not match the name on the URL")
        start = f'Operation cannot be fulfilled on {at["resource"]}.{at["group"]} "{at["name"]}": '
        if meta.get("uid", obj["metadata"]["uid"]) != obj["metadata"]["uid"]:
            raise Failure(409, start + f'Precondition failed: UID in precondition: {meta["uid"]}, UID in object meta: '
                                       f'{obj["metadata"]["uid"]}', self._details(at))
        if meta.get("resourceVersion", obj["metadata"]["resourceVersion"]) != obj["metadata"]["resourceVersion"]:
            raise Failure(409, start + "the object has been modified; please apply your changes to the latest version "
                                       "and try again", self._details(at))

    def _allowed_part(self, obj, wanted):
        """What a client may change: spec (or data), labels, annotations, owner references."""
        meta = {k: v for k, v in obj["metadata"].items()
                if k not in ("labels", "annotations", "ownerReferences", "finalizers")}
        for key in ("labels", "annotations", "ownerReferences", "finalizers"):
            if wanted["metadata"].get(key):
                meta[key] = wanted["metadata"][key]
        rest = {k: v for k, v in wanted.items() if k not in ("metadata", "status", "kind", "apiVersion")}
        kept = {k: obj[k] for k in ("apiVersion", "kind", "status") if k in obj}
        return {**kept, **rest, "metadata": meta}

    def _validate(self, at, after, before):
        kind = KINDS[at["resource"]][2]
        try:
            check(at["resource"], after, before)
        except Invalid as bad:
            raise Failure(422, f'{kind}.{at["group"]} "{at["name"]}" is invalid: {bad.field}: {bad}',
                          {"name": at["name"], "group": at["group"], "kind": kind,
                           "causes": [{"reason": bad.reason, "message": str(bad), "field": bad.field}]}) from None

    def _next(self, obj, after):
        after = copy.deepcopy(after)
        if "generation" in obj["metadata"] and not patch.same(obj.get("spec"), after.get("spec")):
            after["metadata"]["generation"] = obj["metadata"]["generation"] + 1
        return after

    def _commit(self, resource, obj, after, manager, entry=None):
        after = self._next(obj, after)
        if patch.same(obj, after):
            return obj
        stored = self.store(resource, after, manager)
        if entry is not None:
            entry["changed"] = [d for d in patch.differences(obj, stored)
                                if d[0] not in ("/metadata/resourceVersion", "/metadata/generation")
                                and not d[0].startswith("/metadata/managedFields")]
        if resource in CONTROLLERS:
            self.call_at(self.now + SYNC_AFTER_S, resource, stored)
        return stored

    def _scale_of(self, obj):
        meta = obj["metadata"]
        kept = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
        replicas = obj["spec"]["replicas"]
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept,
                "spec": {"replicas": replicas} if replicas else {},
                "status": {"replicas": obj.get("status", {}).get("replicas", 0),
                           "selector": listing.selector_text(obj["spec"]["selector"])}}
