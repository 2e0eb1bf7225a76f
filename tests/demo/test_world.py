# SPDX-License-Identifier: Apache-2.0
"""The demo production is itself tested: API facts, rollout rules, PromQL arithmetic, every fault.

    python3 tests/demo/test_world.py
"""
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import listing  # noqa: E402
import patch  # noqa: E402
import promql  # noqa: E402
import scene  # noqa: E402
from cluster import World  # noqa: E402
from metrics import answer_query  # noqa: E402
from series import Store, parse_text  # noqa: E402
from virtual import VirtualProduction, command  # noqa: E402

APPS = "/apis/apps/v1/namespaces/prod/"
DEPLOYMENT, REPLICAS = APPS + "deployments/api-service", APPS + "statefulsets/postgres-read-replica"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
REVISION = "deployment.kubernetes.io/revision"
P95 = 'histogram_quantile(0.95, sum by (le) (rate({}_bucket{{service="api-service"}}[10s])))'


class ClusterTest(unittest.TestCase):
    """One World under a clock that the test moves."""

    def setUp(self):
        self.now = 1_800_000_000.0
        self.world = scene.build("slow-model", lambda: self.now)

    def call(self, method, path, body=None, content_type=MERGE, token="demo-token", **query):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, headers, answer = self.world.handle(
            method, path, query, {"Authorization": f"Bearer {token}", "Content-Type": content_type}, data)
        self.headers = headers
        return status, json.loads(answer) if headers.get("Content-Type") == "application/json" else answer

    def expect(self, code, reason, *args, **kwargs):
        status, answer = self.call(*args, **kwargs)
        self.assertEqual((status, answer.get("reason"), answer.get("kind")), (code, reason, "Status"))
        self.assertEqual(answer["code"], code)
        return answer

    def sleep(self, seconds):
        for _ in range(round(seconds * 20)):
            self.now += 0.05
            self.world.tick()

    def sets(self):
        items = self.call("GET", APPS + "replicasets", labelSelector="app=api-service")[1]["items"]
        return {rs["metadata"]["annotations"][REVISION]: rs for rs in items}

    def rollback_patch(self, revision):
        live, old = self.call("GET", DEPLOYMENT)[1], self.sets()[revision]
        template = old["spec"]["template"]
        del template["metadata"]["labels"]["pod-template-hash"]
        notes = {**live["metadata"]["annotations"], "kubernetes.io/change-cause": "model v1.0"}
        return [{"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
                {"op": "replace", "path": "/spec/template", "value": template},
                {"op": "replace", "path": "/metadata/annotations", "value": notes}]


class Rollout(ClusterTest):
    def test_rollback_reuses_the_replica_set_and_renumbers_it(self):
        before = self.sets()
        self.assertEqual(sorted(before), ["1", "2"])
        status, answer = self.call("PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH, fieldManager="midwatch")
        self.assertEqual((status, answer["metadata"]["generation"], answer["status"]["observedGeneration"]), (200, 3, 2))
        self.sleep(0.2)
        self.assertEqual(self.call("GET", DEPLOYMENT)[1]["status"]["observedGeneration"], 3)
        self.assertLess(self.call("GET", DEPLOYMENT)[1]["status"].get("updatedReplicas", 0), 3)
        self.sleep(2)
        after, live = self.sets(), self.call("GET", DEPLOYMENT)[1]
        self.assertEqual(sorted(after), ["2", "3"])
        self.assertEqual(after["3"]["metadata"]["uid"], before["1"]["metadata"]["uid"])
        self.assertEqual(after["3"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1")
        self.assertEqual(after["3"]["metadata"]["annotations"]["kubernetes.io/change-cause"], "model v1.0")
        self.assertEqual(live["metadata"]["annotations"][REVISION], "3")
        self.assertEqual({k: live["status"][k] for k in ("replicas", "updatedReplicas", "availableReplicas")},
                         {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3})
        self.assertEqual(self.world.traffic("prod", "api-service", "postgres-read-replica")["releases"], {"v1.0": 3})

    def test_traffic_moves_pod_by_pod_and_never_below_what_is_wanted(self):
        self.call("PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH)
        seen = set()
        for _ in range(60):
            self.sleep(0.05)
            releases = self.world.traffic("prod", "api-service", "postgres-read-replica")["releases"]
            self.assertGreaterEqual(sum(releases.values()), 3)
            seen.add(releases.get("v1.0", 0))
        self.assertEqual(seen, {0, 1, 2, 3})

    def test_a_new_template_makes_a_replica_set_with_owner_and_hash(self):
        body = {"spec": {"template": {"spec": {"containers": [{"name": "api-service", "image": "r/m:v1.2"}]}}}}
        self.assertEqual(self.call("PATCH", DEPLOYMENT, body, STRATEGIC)[0], 200)
        self.sleep(2)
        new = self.sets()["3"]
        live = self.call("GET", DEPLOYMENT)[1]
        self.assertEqual(new["metadata"]["ownerReferences"][0]["uid"], live["metadata"]["uid"])
        self.assertTrue(new["metadata"]["ownerReferences"][0]["controller"])
        short = new["metadata"]["labels"]["pod-template-hash"]
        self.assertEqual(new["metadata"]["name"], f"api-service-{short}")
        self.assertEqual(new["spec"]["selector"]["matchLabels"]["pod-template-hash"], short)
        self.assertEqual(new["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"], 8080)

    def test_history_limit_prunes_the_oldest(self):
        self.call("PATCH", DEPLOYMENT, {"spec": {"revisionHistoryLimit": 1}})
        self.call("PATCH", DEPLOYMENT, self.rollback_patch("1")[1:2], JSON_PATCH)
        self.sleep(2)
        body = {"spec": {"template": {"spec": {"containers": [{"name": "api-service", "image": "r/m:v1.2"}]}}}}
        self.call("PATCH", DEPLOYMENT, body, STRATEGIC)
        self.sleep(2)
        self.assertEqual(sorted(self.sets()), ["3", "4"])

    def test_paused_deployment_keeps_its_pods(self):
        self.call("PATCH", DEPLOYMENT, {"spec": {"paused": True}})
        self.call("PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH)
        self.sleep(2)
        self.assertEqual(self.world.traffic("prod", "api-service", "postgres-read-replica")["releases"], {"v1.1": 3})
        reasons = [c["reason"] for c in self.call("GET", DEPLOYMENT)[1]["status"]["conditions"]]
        self.assertIn("DeploymentPaused", reasons)

    def test_a_release_that_never_gets_ready_exceeds_its_deadline(self):
        body = {"spec": {"progressDeadlineSeconds": 5, "template": {"spec": {"containers": [
            {"name": "api-service", "image": "r/m:broken"}]}}}}
        self.call("PATCH", DEPLOYMENT, body, STRATEGIC)
        self.sleep(7)
        live = self.call("GET", DEPLOYMENT)[1]
        self.assertIn("ProgressDeadlineExceeded", [c["reason"] for c in live["status"]["conditions"]])
        self.assertEqual(live["status"]["availableReplicas"], 3)

    def test_statefulset_scales_in_order_and_renumbers_its_revisions(self):
        self.call("PATCH", REPLICAS + "/scale", {"spec": {"replicas": 3}})
        self.sleep(0.3)
        self.assertEqual(self.call("GET", REPLICAS)[1]["status"]["replicas"], 2)
        self.sleep(2)
        self.assertEqual(self.call("GET", REPLICAS)[1]["status"]["readyReplicas"], 3)
        first = self.call("GET", APPS + "controllerrevisions")[1]["items"][0]
        body = {"spec": {"template": {"spec": {"containers": [{"name": "postgres-read-replica", "image": "r/p:17"}]}}}}
        self.call("PATCH", REPLICAS, body, STRATEGIC)
        self.sleep(3)
        status = self.call("GET", REPLICAS)[1]["status"]
        self.assertEqual(status["currentRevision"], status["updateRevision"])
        self.assertEqual(self.call("PATCH", REPLICAS, first["data"], STRATEGIC)[0], 200)
        self.sleep(3)
        numbers = {cr["metadata"]["name"]: cr["revision"]
                   for cr in self.call("GET", APPS + "controllerrevisions")[1]["items"]}
        self.assertEqual(numbers[first["metadata"]["name"]], 3)


class Requests(ClusterTest):
    def test_token(self):
        self.expect(401, "Unauthorized", "GET", DEPLOYMENT, token="other")

    def test_not_found_tells_object_from_group(self):
        answer = self.expect(404, "NotFound", "GET", APPS + "deployments/other")
        self.assertEqual(answer["details"], {"name": "other", "group": "apps", "kind": "deployments"})
        self.assertEqual(self.call("GET", "/apis/metrics.k8s.io/v1beta1/nodes"), (404, b"404 page not found\n"))

    def test_stale_version_is_409_in_merge_patch_and_put_and_422_in_json_patch(self):
        stale = self.rollback_patch("1")
        old = self.call("GET", DEPLOYMENT)[1]
        self.call("PATCH", DEPLOYMENT, {"metadata": {"labels": {"x": "y"}}})
        version = old["metadata"]["resourceVersion"]
        answer = self.expect(409, "Conflict", "PATCH", DEPLOYMENT, {"metadata": {"resourceVersion": version}})
        self.assertEqual(answer["details"]["name"], "api-service")
        self.expect(409, "Conflict", "PUT", DEPLOYMENT, old)
        self.expect(409, "Conflict", "PATCH", DEPLOYMENT + "/scale",
                    {"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}})
        self.expect(422, "Invalid", "PATCH", DEPLOYMENT, stale, JSON_PATCH)
        self.assertEqual(sorted(self.sets()), ["1", "2"])

    def test_dry_run_answers_like_the_real_one_and_stores_nothing(self):
        before = self.world.dump()
        status, answer = self.call("PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH, dryRun="All")
        self.assertEqual((status, answer["metadata"]["generation"]), (200, 3))
        self.assertTrue(answer["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":v1.0"))
        scale = self.call("PATCH", DEPLOYMENT + "/scale", {"spec": {"replicas": 9}}, dryRun="All")[1]
        self.assertEqual(scale["spec"]["replicas"], 9)
        after = json.loads(self.world.dump())
        self.assertEqual({**json.loads(before), "log": 0}, {**after, "log": 0})
        self.assertEqual([e["dry_run"] for e in after["log"]], [True, True])
        self.assertEqual(self.world.effects(), [])
        self.expect(422, "Invalid", "PATCH", DEPLOYMENT, {}, dryRun="Some")

    def test_scale(self):
        status, scale = self.call("GET", DEPLOYMENT + "/scale")
        self.assertEqual((status, scale["kind"], scale["apiVersion"]), (200, "Scale", "autoscaling/v1"))
        self.assertEqual((scale["spec"], scale["status"]),
                         ({"replicas": 3}, {"replicas": 3, "selector": "app=api-service"}))
        scale["spec"]["replicas"] = 6
        self.assertEqual(self.call("PUT", DEPLOYMENT + "/scale", scale)[1]["spec"], {"replicas": 6})
        self.sleep(2)
        self.assertEqual(self.call("GET", DEPLOYMENT)[1]["status"]["availableReplicas"], 6)
        self.assertEqual(self.call("PATCH", DEPLOYMENT + "/scale", {"spec": {"replicas": 0}})[1]["spec"], {})
        self.expect(422, "Invalid", "PATCH", DEPLOYMENT + "/scale", {"spec": {"replicas": -1}})
        self.assertEqual(sorted(self.sets()), ["1", "2"])

    def test_no_op_changes_neither_version_nor_generation(self):
        before = self.call("GET", DEPLOYMENT)[1]["metadata"]
        after = self.call("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, fieldManager="x")[1]["metadata"]
        self.assertEqual((before["resourceVersion"], before["generation"]),
                         (after["resourceVersion"], after["generation"]))

    def test_refusals(self):
        self.expect(415, "UnsupportedMediaType", "PATCH", DEPLOYMENT, {}, "application/json")
        self.expect(400, "BadRequest", "PATCH", DEPLOYMENT, b"{")
        self.expect(400, "BadRequest", "GET", APPS + "replicasets", labelSelector="a=b=c")
        self.expect(422, "Invalid", "PATCH", DEPLOYMENT, {"spec": {"selector": {"matchLabels": {"app": "z"}}}})
        self.expect(409, "AlreadyExists", "POST", APPS + "deployments", {"metadata": {"name": "api-service"}})
        self.expect(405, "MethodNotAllowed", "POST", DEPLOYMENT, {})

    def test_selectors_and_pages(self):
        first = self.call("GET", APPS + "replicasets", limit="1", labelSelector="app in (api-service,other)")[1]
        self.assertEqual(len(first["items"]), 1)
        self.assertNotIn("kind", first["items"][0])
        token = first["metadata"]["continue"]
        second = self.call("GET", APPS + "replicasets", **{"limit": "1", "continue": token})[1]
        self.assertEqual(len(second["items"]), 1)
        self.assertNotIn("continue", second["metadata"])
        self.assertNotEqual(first["items"][0]["metadata"]["uid"], second["items"][0]["metadata"]["uid"])
        self.assertEqual(self.call("GET", APPS + "replicasets", labelSelector="app!=api-service")[1]["items"], [])
        self.world.version += listing.KEEPS_TOKENS + 1
        self.expect(410, "Expired", "GET", APPS + "replicasets", **{"continue": token})
        hpas = self.call("GET", "/apis/autoscaling/v2/namespaces/prod/horizontalpodautoscalers")
        self.assertEqual((hpas[0], hpas[1]["items"]), (200, []))

    def test_rights(self):
        self.world.denied.append({"verb": "patch", "resource": "deployments", "subresource": "scale"})
        wish = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {
            "namespace": "prod", "verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        self.assertFalse(self.call("POST", path, wish)[1]["status"]["allowed"])
        wish["spec"]["resourceAttributes"]["subresource"] = ""
        self.assertTrue(self.call("POST", path, wish)[1]["status"]["allowed"])
        self.expect(403, "Forbidden", "PATCH", DEPLOYMENT + "/scale", {"spec": {"replicas": 5}})
        self.assertEqual(self.call("PATCH", DEPLOYMENT, {"metadata": {"labels": {"a": "b"}}})[0], 200)

    def test_planted_faults(self):
        self.world.rules.append({"do": "status", "code": 429, "retry_after": 1, "method": "GET"})
        answer = self.expect(429, "TooManyRequests", "GET", DEPLOYMENT)
        self.assertEqual((self.headers["Retry-After"], answer["details"]["retryAfterSeconds"]), ("1", 1))
        self.assertEqual(self.call("GET", DEPLOYMENT)[0], 200)
        self.world.rules.append({"do": "interfere", "method": "PATCH", "object": ["deployments", "prod", "api-service"],
                                 "patch": {"spec": {"replicas": 4}}})
        self.expect(422, "Invalid", "PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH)
        self.assertEqual(self.call("GET", DEPLOYMENT)[1]["spec"]["replicas"], 4)
        self.world.rules.append({"do": "drop"})
        self.assertIsNone(self.world.handle("GET", DEPLOYMENT)[0])

    def test_cut_applies_the_first_change_and_never_a_dry_run(self):
        self.world = scene.build("cut", lambda: self.now)
        body = self.rollback_patch("1")
        self.assertEqual(self.call("PATCH", DEPLOYMENT, body, JSON_PATCH, dryRun="All")[0], 200)
        self.assertEqual(self.call("PATCH", DEPLOYMENT, [{"op": "test", "path": "/kind", "value": "x"}], JSON_PATCH)[0],
                         422)
        self.assertIsNone(self.call("PATCH", DEPLOYMENT, body, JSON_PATCH, fieldManager="midwatch")[0])
        self.sleep(2)
        self.assertEqual(self.world.traffic("prod", "api-service", "postgres-read-replica")["releases"], {"v1.0": 3})
        entry, = self.world.effects()
        self.assertEqual((entry["manager"], entry["answered"], entry["object"]),
                         ("midwatch", False, "deployment/prod/api-service"))
        self.assertEqual(self.call("PATCH", DEPLOYMENT, {"spec": {"replicas": 4}})[0], 200)

    def test_dump_and_load_continue_in_the_middle_of_a_rollout(self):
        self.call("PATCH", DEPLOYMENT, self.rollback_patch("1"), JSON_PATCH)
        self.sleep(0.5)
        text, then = self.world.dump(), self.now
        self.sleep(2)
        straight = self.world.dump()
        self.now = then
        self.world = World(lambda: self.now).load(text)
        self.sleep(2)
        self.assertEqual(self.world.dump(), straight)


class Patches(unittest.TestCase):
    def test_json_patch_pointers_and_failures(self):
        doc = {"a/b": [1, {"~": 2}]}
        self.assertEqual(patch.json_patch(doc, [{"op": "replace", "path": "/a~1b/1/~0", "value": 3},
                                                {"op": "add", "path": "/a~1b/-", "value": 4}]), {"a/b": [1, {"~": 3}, 4]})
        self.assertEqual(doc, {"a/b": [1, {"~": 2}]})
        for bad in ({"op": "replace", "path": "/x", "value": 1}, {"op": "test", "path": "/a~1b/0", "value": True},
                    {"op": "remove", "path": "/a~1b/9"}):
            self.assertRaises(patch.PatchFailed, patch.json_patch, doc, [bad])
        self.assertRaises(patch.BadPatch, patch.json_patch, doc, {"op": "add"})

    def test_strategic_merge(self):
        old = {"containers": [{"name": "a", "image": "1", "env": [{"name": "x", "value": "1"}]}, {"name": "b"}]}
        new = patch.strategic(old, {"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}]})
        self.assertEqual(new, {"containers": [{"name": "a", "image": "2", "env": [{"name": "x", "value": "1"}]}]})
        self.assertEqual(patch.strategic(old, {"$patch": "replace", "k": 1}), {"k": 1})
        self.assertEqual(patch.merge({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}}), {"b": {"c": 2, "d": 3}})


class Queries(unittest.TestCase):
    def setUp(self):
        self.store = Store()
        for i in range(12):
            self.store.scraped({"job": "j"}, 100.0 + i, "\n".join([
                f'h_bucket{{s="a\\"b",le="1"}} {i * 3}', f'h_bucket{{s="a\\"b",le="2"}} {i * 6}',
                f'h_bucket{{s="a\\"b",le="+Inf"}} {i * 6}', 'z_bucket{le="1"} 7', 'z_bucket{le="+Inf"} 7', "g 5"]))

    def ask(self, text, now=111.0):
        status, envelope = answer_query(self.store, {"query": text}, now)
        self.assertEqual((status, envelope["status"]), (200, "success"), envelope)
        return [r["value"][1] for r in envelope["data"]["result"]]

    def test_quantile_interpolates_inside_the_bucket(self):
        inf = math.inf
        self.assertAlmostEqual(promql.bucket_quantile(0.5, [(1, 10), (2, 20), (inf, 20)]), 1.0)
        self.assertAlmostEqual(promql.bucket_quantile(0.75, [(1, 10), (2, 20), (inf, 20)]), 1.5)
        self.assertAlmostEqual(promql.bucket_quantile(0.25, [(1, 10), (2, 20), (inf, 20)]), 0.5)
        self.assertEqual(promql.bucket_quantile(0.99, [(1, 10), (2, 20), (inf, 40)]), 2)
        self.assertTrue(math.isnan(promql.bucket_quantile(0.5, [(1, 10), (2, 20)])))
        self.assertTrue(math.isnan(promql.bucket_quantile(0.5, [(1, 0), (inf, 0)])))
        self.assertEqual(promql.bucket_quantile(1.5, [(1, 1), (inf, 1)]), inf)
        self.assertEqual(self.ask('histogram_quantile(0.75, sum by (le) (rate(h_bucket{s="a\\"b"}[10s])))'), ["1.5"])

    def test_no_data_and_nan(self):
        self.assertEqual(self.ask('histogram_quantile(0.9, sum by (le) (rate(nothing_bucket[10s])))'), [])
        self.assertEqual(self.ask("histogram_quantile(0.9, sum by (le) (rate(z_bucket[10s])))"), ["NaN"])
        self.assertEqual(self.ask("g / 0 - g / 0"), ["NaN"])

    def test_rate_extrapolates_and_survives_a_reset(self):
        self.assertEqual(promql.extrapolated([(0, 0), (5, 10), (10, 20)], 10, 10, True), 2.0)
        self.assertAlmostEqual(promql.extrapolated([(1, 100), (5, 108), (9, 4)], 10, 10, False), 15.0)
        self.assertIsNone(promql.extrapolated([(1, 1)], 10, 10, True))

    def test_matchers_and_functions(self):
        self.assertEqual(self.ask('g{job=~"j|k",job!="k",nope=""}'), ["5"])
        self.assertEqual(self.ask('g{job!~"j.*"}'), [])
        self.assertEqual(self.ask("timestamp(g)", 111.4), ["111"])
        self.assertEqual(self.ask("avg(g) + max(g) * 2"), ["15"])
        self.assertEqual(self.ask("up"), ["1"])
        self.assertEqual(self.ask("absent(nope) or vector(0)"), ["1"])
        self.assertEqual(self.ask("g > 5"), [])

    def test_a_vanished_series_and_a_dead_target_are_gone_at_once(self):
        self.store.scraped({"job": "j"}, 112.0, "other 1")
        self.assertEqual(self.ask("g", 112.0), [])
        self.store.scraped({"job": "j"}, 113.0, None)
        self.assertEqual((self.ask("up", 113.0), self.ask("other", 113.0)), (["0"], []))

    def test_bad_queries(self):
        for text in ("", "g{", 'g{a="b}', "{}", '{a=~".*"}', "nope(g)", "rate(g)", "g[10s]", "g offset 5m", "1 +",
                     'g{a=~"("}', "sum(g", "histogram_quantile(g)", "(" * 200):
            status, envelope = answer_query(self.store, {"query": text}, 111.0)
            self.assertEqual((status, envelope["status"], envelope["errorType"]), (400, "error", "bad_data"), text)

    def test_text_format(self):
        self.assertEqual(parse_text('# HELP x\nx{a="1\\n\\\\\\"",b="}"} +Inf 123\n'),
                         [("x", {"a": '1\n\\"', "b": "}"}, math.inf)])
        self.assertRaises(ValueError, parse_text, "x{a=1} 2")


class Faults(unittest.TestCase):
    """Every fault, in virtual time: it shows, the right change heals it, the wrong one does not."""

    def look(self, production):
        p95, infer, query = (production.number(P95.format(n)) for n in (
            "http_request_duration_seconds", "model_inference_seconds", "db_query_seconds"))
        return p95, infer, query, production.number('avg(service_busy_ratio{service="api-service"})')

    def change(self, production, path, body, content_type=MERGE):
        return production.request("cluster", "PATCH", path, {"Authorization": "Bearer demo-token",
                                                             "Content-Type": content_type}, json.dumps(body).encode())[0]

    def test_slow_model(self):
        production = VirtualProduction("slow-model")
        p95, infer, query, busy = self.look(production)
        self.assertTrue(p95 > 2 and infer > 1 and query < 0.1 and busy < 0.9, (p95, infer, query, busy))
        old = next(rs for rs in production.world.all("replicasets")
                   if rs["metadata"]["annotations"][REVISION] == "1")["spec"]["template"]
        old = json.loads(json.dumps(old))
        del old["metadata"]["labels"]["pod-template-hash"]
        self.assertEqual(self.change(production, DEPLOYMENT, [{"op": "replace", "path": "/spec/template", "value": old}],
                                     JSON_PATCH), 200)
        production.advance(production.now + 16)
        self.assertLess(self.look(production)[0], 0.5)

    def test_db(self):
        production = VirtualProduction("db")
        p95, infer, query, busy = self.look(production)
        self.assertTrue(p95 > 2 and infer < 1 and query > 0.5 and busy < 0.9, (p95, infer, query, busy))
        self.change(production, REPLICAS + "/scale", {"spec": {"replicas": 2}})
        production.advance(production.now + 60)
        self.assertGreater(self.look(production)[2], 0.5)
        self.change(production, REPLICAS + "/scale", {"spec": {"replicas": 3}})
        production.advance(production.now + 25)
        self.assertLess(self.look(production)[0], 0.4)

    def test_capacity(self):
        production = VirtualProduction("capacity")
        p95, infer, query, busy = self.look(production)
        self.assertTrue(p95 > 2 and infer < 1 and query < 0.5 and busy > 0.9, (p95, infer, query, busy))
        self.change(production, DEPLOYMENT + "/scale", {"spec": {"replicas": 6}})
        production.advance(production.now + 25)
        p95, _, _, busy = self.look(production)
        self.assertTrue(p95 < 0.5 and busy < 0.9, (p95, busy))

    def test_none_and_metrics_down(self):
        p95, infer, query, busy = self.look(VirtualProduction("none"))
        self.assertTrue(p95 < 0.5 and infer < 0.5 and query < 0.5 and busy < 0.5, (p95, infer, query, busy))
        self.assertIsNone(VirtualProduction("metrics-down").request("metrics", "GET", "/api/v1/query?query=up")[0])

    def test_lines_drive_it(self):
        production = VirtualProduction("slow-model")
        answer = command(production, {"now": 5, "to": "metrics", "method": "POST", "target": "/api/v1/query",
                                      "body": "query=up%7Bjob%3D%22model-service%22%7D"})
        self.assertEqual(json.loads(answer["body"])["data"]["result"][0]["value"][1], "1")
        self.assertEqual(command(production, {"now": 1})["now"], production.ready_at + 5)
        self.assertEqual(command(production, {"effects": True}), {"effects": []})


class RealProduction(unittest.TestCase):
    """world.py as a process, over real sockets."""

    def start(self, fault, *more):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "world.py")
        child = subprocess.Popen([sys.executable, "-B", script, "--dir", self.dir.name, "--fault", fault, *more],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(lambda: child.poll() is None and child.kill())
        for line in child.stdout:
            if "ready:" in line:
                return child
        self.fail(f"world.py ended with {child.wait()} before it was ready")

    def read(self, name):
        with open(os.path.join(self.dir.name, name), encoding="utf-8") as file:
            return file.read()

    def get(self, port, path, method="GET", body=None, **headers):
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read())

    def stop(self, child):
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(10), 0)
        self.assertFalse(os.path.exists(os.path.join(self.dir.name, "ready")))

    def gone(self, port):
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).close()
                time.sleep(0.05)
            except (urllib.error.URLError, ConnectionError):
                return True
        return False

    def test_cut_leaves_its_files_drops_the_answer_and_ends(self):
        child = self.start("cut")
        ports = json.loads(self.read("ports.json"))
        self.assertIn(f"server: http://127.0.0.1:{ports['cluster']}", self.read("kubeconfig"))
        self.assertIn(os.path.join(self.dir.name, "kubeconfig"), self.read("midwatch.yaml"))
        alert = json.loads(self.read("alert.json"))
        self.assertEqual((alert["version"], alert["alerts"][0]["labels"]["alertname"]), ("4", "HighLatency"))
        form = b"query=avg%28service_busy_ratio%7Bservice%3D%22api-service%22%7D%29"
        value = self.get(ports["metrics"], "/api/v1/query", "POST", form,
                         **{"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(len(value["data"]["result"]), 1)
        keys = {"Authorization": "Bearer demo-token", "Content-Type": STRATEGIC}
        body = {"spec": {"template": {"spec": {"containers": [{"name": "api-service", "image": "r/m:v1.0"}]}}}}
        with self.assertRaises((ConnectionError, urllib.error.URLError)):
            self.get(ports["cluster"], DEPLOYMENT, "PATCH", json.dumps(body).encode(), **keys)
        image = self.get(ports["cluster"], DEPLOYMENT, **keys)["spec"]["template"]["spec"]["containers"][0]["image"]
        self.assertEqual(image, "r/m:v1.0")
        self.stop(child)
        self.assertTrue(self.gone(ports["service"]))

    def test_metrics_down_refuses_and_a_killed_world_leaves_nobody(self):
        child = self.start("metrics-down")
        ports = json.loads(self.read("ports.json"))
        with self.assertRaises(urllib.error.URLError) as caught:
            self.get(ports["metrics"], "/-/ready")
        self.assertIsInstance(caught.exception.reason, ConnectionRefusedError)
        child.kill()
        child.wait()
        self.assertTrue(self.gone(ports["service"]))

    def test_db_and_capacity_show_for_real(self):
        for fault in ("db", "capacity"):
            self.stop(self.start(fault))

    def test_time_is_bounded(self):
        child = self.start("none", "--seconds", "7")
        self.assertEqual(child.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
