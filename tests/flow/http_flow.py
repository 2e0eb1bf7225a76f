#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The http plugin: declared requests as reads and effects, what a parameter cannot become, signatures checked by the
other side, and every answer that is none.

Prints `ok - name` or `not ok - name: why` per case."""
import base64
import hashlib
import hmac
import json
import pathlib
import sys
import urllib.parse

import stand
from stand import answer_json, expect

FRONT = "may:\n" + "".join(f'  - {{ effect: http.{v}, target: "queue/*", at_most: 3 }}\n' for v in
                           ("resize", "purge", "once", "guarded", "keyed", "undeclared")) + "limits: { cooldown: 0s }\n"
REQUESTS = """
      depth: { path: "/queues/{{queue}}", params: &q { queue: { type: string } }, read: { returns: integer, at: /messages } }
      limit: { path: "/queues/{{queue}}", params: *q, read: { returns: integer, at: /limit } }
      name: { path: "/queues/{{queue}}", params: *q, read: { at: "/a~1b/0/c~0d" } }
      ratio: { path: "/queues/{{queue}}", params: *q, read: { returns: number, at: /messages } }
      full: { path: "/queues/{{queue}}", params: *q, read: { returns: boolean, at: /full } }
      jobs: { path: "/queues/{{queue}}", params: *q, read: { returns: json, at: /jobs, at_most: 3 } }
      text: { path: /text, read: true }
      lines: { path: /text, read: { returns: lines, at_most: 2 } }
      gone: { path: "/queues/{{queue}}", params: *q, read: true }
      search: { method: POST, path: /search, body: { q: "{{text}}", n: "{{n}}", note: "about {{text}}", all: [1, "{{text}}"] },
                query: { z: "{{text}}", a: "1 2" }, headers: { X-Text: "{{text}}" },
                params: { text: { type: string }, n: { type: integer, default: 5, max: 9 } }, read: { stores_nothing: true } }
      resize: { method: PUT, path: "/queues/{{queue}}", body: { limit: "{{n}}", was: "{{from}}" },
                params: { queue: { type: string }, n: { type: integer } },
                effect: { class: ensure, target: "queue/{{queue}}", state: limit, sets: n } }
      purge: { method: DELETE, path: "/queues/{{queue}}", params: *q,
               effect: { class: never_twice, target: "queue/{{queue}}", undo: not needed } }
      once: { path: "/queues/{{queue}}/once", params: *q,
              effect: { class: ensure, target: "queue/{{queue}}", check: gone, undo: not needed } }
      guarded: { path: "/queues/{{queue}}/guarded", params: *q,
                 effect: { class: never_twice, target: "queue/{{queue}}", undo: not needed, refused: [418] } }
      keyed: { path: "/queues/{{queue}}/keyed", headers: { Idempotency-Key: "{{key}}" }, params: *q,
               effect: { class: keyed, target: "queue/{{queue}}", undo: not needed } }
      undeclared: { path: "/queues/{{queue}}/x", params: *q, effect: { target: "queue/{{queue}}" } }
""".replace("&q { queue: { type: string } }", "{ queue: { type: string } }").replace("*q", "{ queue: { type: string } }")


def config(url, more="", requests=REQUESTS):
    return f"instances:\n  web:\n    plugin: http\n    url: '{url}/base'\n    timeout: 1s\n{more}    requests:{requests}"


def told(read, extra=""):
    return f"local x = observe(http.{read})\n{extra}resolve('is ' .. tostring(x))"


QUEUE = {"messages": 7, "limit": 3, "full": False, "a/b": [{"c~d": "deep"}], "jobs": [1, 2, 3]}

# name, code, the answer, exit code, what must be said
READS = [
    ("a number by its pointer", told("depth { queue = 'jobs' }"), answer_json(QUEUE), 0, r"is 7"),
    ("a pointer with escapes", told("name { queue = 'jobs' }"), answer_json(QUEUE), 0, r"is deep"),
    ("a ratio", told("ratio { queue = 'jobs' }"), answer_json(QUEUE), 0, r"is 7\.0"),
    ("a boolean", told("full { queue = 'jobs' }"), answer_json(QUEUE), 0, r"is false"),
    ("a list", "resolve('n ' .. #observe(http.jobs { queue = 'a' }))", answer_json(QUEUE), 0, r"n 3"),
    ("an empty list", "resolve('n ' .. #observe(http.jobs { queue = 'a' }))", answer_json({"jobs": []}), 0, r"n 0"),
    ("a list of 10,000", "observe(http.jobs { queue = 'a' })", answer_json({"jobs": list(range(10000))}), 3, r"10000 elements"),
    ("a text", told("text()"), (200, {}, "hello\n\n"), 0, r"is hello"),
    ("lines", "resolve('n ' .. #observe(http.lines()))", (200, {}, "a\nb\n"), 0, r"n 2"),
    ("too many lines", "observe(http.lines())", (200, {}, "a\nb\nc\n"), 3, r"more than 2 lines"),
    ("control bytes", "local x = observe(http.text()) resolve('n ' .. #x)", (200, {}, b"a\x00\x1b[2Jb"), 0, r"n 7"),
    ("bad UTF-8", told("text()"), (200, {}, b"a\xffb"), 0, r"is a"),
    ("the field vanished", told("depth { queue = 'jobs' }"), answer_json({}), 3, r"the answer has no /messages"),
    ("the field is null", told("depth { queue = 'jobs' }"), answer_json({"messages": None}), 3, r"no_data|null"),
    ("the field is a text", told("depth { queue = 'jobs' }"), answer_json({"messages": "7"}), 3, r"is a string, not a integer"),
    ("the field is no integer", told("depth { queue = 'jobs' }"), answer_json({"messages": 7.5}), 3, r"7\.5, not an integer"),
    ("the field is an object", told("depth { queue = 'jobs' }"), answer_json({"messages": {}}), 3, r"is a table"),
    ("HTML", told("depth { queue = 'jobs' }"), (200, {"Content-Type": "text/html"}, "<html>login</html>"), 3, r"no JSON: <html>"),
    ("empty", told("depth { queue = 'jobs' }"), (200, {}, ""), 3, r"no JSON"),
    ("deep", told("depth { queue = 'jobs' }"), (200, {}, "[" * 100000), 3, r"no JSON"),
    ("404", told("depth { queue = 'jobs' }"), answer_json({"error": "none"}, 404), 3, r"HTTP 404"),
    ("500", told("depth { queue = 'jobs' }"), (500, {}, "boom\x1b[2J"), 3, r"HTTP 500: boom"),
    ("a redirect is not followed", told("text()"), (302, {"Location": "http://127.0.0.1:1/"}, ""), 3, r"HTTP 302"),
    ("slow", told("text()"), 3, 3, r"no whole answer within 1000 ms"),
    ("hung up", told("text()"), None, 3, r"closed without an answer"),
    ("huge", told("text()"), (200, {}, "x" * (5 << 20)), 3, r"bytes"),
    ("a missing parameter", told("depth {}"), answer_json(QUEUE), 3, r"parameter 'queue' is missing"),
    ("an unknown parameter", told("depth { quue = 'x' }"), answer_json(QUEUE), 3, r"quue.*did you mean 'queue'"),
    ("a parameter of another type", told("depth { queue = 7 }"), answer_json(QUEUE), 3, r"'queue' must be a text"),
    ("a control character", told("depth { queue = 'a\\nb' }"), answer_json(QUEUE), 3, r"control character"),
    ("a way up", told("depth { queue = '..' }"), answer_json(QUEUE), 3, r"is no segment"),
    ("a number that is too large", "observe(http.search { text = 'x', n = 10 })", answer_json({}), 3, r"between - and 9"),
]

# name, code, what answers the change (None = the real work), exit code, what must be said, how often it arrived
EFFECTS = [
    ("resize", "resize { queue = 'jobs', n = 5 }", "'applied'", None, 0, r"resolved", 1),
    ("resize: already so", "resize { queue = 'jobs', n = 3 }", "'applied'", None, 0, r"resolved", 0),
    ("resize: refuted, and put back", "resize { queue = 'jobs', n = 5 }", "function() return false end", None, 3, r"was undone",
     2),
    ("resize: 409", "resize { queue = 'jobs', n = 5 }", "'applied'", (409, {}, "busy"), 3, r"HTTP 409: busy", 1),
    ("resize: 500, nothing happened", "resize { queue = 'jobs', n = 5 }", "'applied'", [(500, {}, "x"), None], 0, r"resolved", 2),
    ("purge: 500 is unknown, and never sent again", "purge { queue = 'jobs' }", "'applied'", (500, {}, "x"), 6, r"UNKNOWN", 1),
    ("purge: hung up", "purge { queue = 'jobs' }", "'applied'", "hang", 6, r"UNKNOWN", 1),
    ("purge", "purge { queue = 'jobs' }", "'applied'", (204, {}, ""), 0, r"resolved", 1),
    ("purge: 403", "purge { queue = 'jobs' }", "'applied'", (403, {}, "no"), 3, r"HTTP 403", 1),
    ("purge: HTML and 200", "purge { queue = 'jobs' }", "'applied'", (200, {}, "<html>"), 0, r"resolved", 1),
    ("guarded: its own refusal", "guarded { queue = 'jobs' }", "'applied'", (418, {}, "teapot"), 3, r"HTTP 418: teapot", 1),
    ("guarded: what it does not list is unknown", "guarded { queue = 'jobs' }", "'applied'", (404, {}, ""), 6, r"UNKNOWN", 1),
    ("keyed", "keyed { queue = 'jobs' }", "'applied'", (200, {}, ""), 0, r"resolved", 1),
    ("undeclared class wants an approval", "undeclared { queue = 'jobs' }", "'applied'", (200, {}, ""), 4,
     r"needs_approval|approv", 0),
]

BAD = [
    ("a path without /", "{ path: x, read: true }", r"path must begin with /"),
    ("a query in the path", "{ path: '/x?a=1', read: true }", r"has no \?"),
    ("a POST as a read", "{ method: POST, path: /x, read: true }", r"stores_nothing"),
    ("a GET as an effect", "{ method: GET, path: /x, effect: { class: ensure, target: t } }", r"an effect by GET"),
    ("neither", "{ path: /x }", r"either a read or an effect"),
    ("an unknown key", "{ pth: /x, read: true }", r"pth.*did you mean 'path'"),
    ("an unknown name in a template", "{ path: '/{{a}}', params: { b: {} }, read: true }", r"\{\{a\}\} is no parameter"),
    ("an unknown type", "{ path: /x, params: { b: { type: text } }, read: true }", r"type 'text'"),
    ("keyed without a key", "{ path: /x, effect: { class: keyed, target: t } }", r"\{\{key\}\} is nowhere"),
    ("a check that is none", "{ path: /x, effect: { class: ensure, target: t, check: nope } }", r"no read 'nope'"),
    ("sets without state", "{ path: /x, params: { n: {} }, effect: { class: ensure, target: t, sets: n } }", r"state and sets"),
    ("no target", "{ path: /x, effect: { class: ensure } }", r"target is missing"),
    ("another method", "{ method: TRACE, path: /x, read: true }", r"TRACE"),
]


class Queue:
    """One queue with a limit, as the declared requests see it."""

    def __init__(self, answers):
        self.limit, self.answers, self.changes = 3, answers if isinstance(answers, list) else None, []
        self.answer = None if isinstance(answers, list) else answers

    def __call__(self, request):
        if request["method"] == "GET":
            return answer_json({"limit": self.limit})
        self.changes.append(request)
        answer = self.answers.pop(0) if self.answers else self.answer
        if answer == "hang":
            return None
        if answer is not None:
            return answer
        self.limit = json.loads(request["body"])["limit"]
        return answer_json({})


def read_cases(program, scratch):
    server = stand.Server(lambda _: None)
    box = stand.Box(program, scratch / "reads", config(server.url), "{ http: web }")
    for name, code, answer, exit_code, pattern in READS:
        server.answer = lambda _, a=answer: a
        yield "read: " + name, expect(box.run(code), exit_code, pattern)
    yield from filled_cases(server, box)
    server.close()
    yield "read: the server is down", expect(box.run(told("text()")), 3, r"refused")


def filled_cases(server, box):
    """What parameters become: one segment, one value of the query, one value of the body."""
    text = "x\"}/../?a=b&c={{n}} '%"
    lua = text.replace("\\", "\\\\").replace("'", "\\'")
    server.answer = lambda _: (200, {}, "ok")
    server.requests.clear()
    got = box.run(f"resolve(observe(http.gone {{ queue = '{lua}' }}))")
    target = server.requests[0]["target"] if server.requests else ""
    yield "filled: one segment of the path", expect(got, 0) or (None if target == "/base/queues/" + urllib.parse.quote(text,
        safe="") else target)
    server.requests.clear()
    got = box.run(f"resolve(observe(http.search {{ text = '{lua}' }}))")
    sent = server.requests[0] if server.requests else {"body": b"{}", "query": "", "headers": {}}
    yield "filled: values of the body", expect(got, 0) or \
        (None if json.loads(sent["body"]) == {"q": text, "n": 5, "note": "about " + text, "all": [1,
         text]} else f"{sent['body']}")
    yield "filled: the query, sorted", None if sent["query"] == "a=1%202&z=" + urllib.parse.quote(text,
        safe="") else sent["query"]
    yield "filled: a header", None if sent["headers"].get("x-text") == text else f"{sent['headers']}"
    yield "a read by POST is let through", None if sent.get("method") == "POST" else f"{sent}"


def effect_cases(program, scratch):
    server = stand.Server(None)
    box = stand.Box(program, scratch / "effects", config(server.url), "{ http: web }")
    for name, effect, verify, answers, exit_code, pattern, arrived in EFFECTS:
        queue = server.answer = Queue(answers)
        got = box.run(f"remedy('r', http.{effect}, {{ verify = {verify}, within = 2, first_look = 0, every = 1 }})\nresolve 'done'", FRONT)
        yield "effect: " + name, expect(got, exit_code, pattern) or \
            (None if len(queue.changes) == arrived else f"it arrived {len(queue.changes)} times")
        if name == "resize: refuted, and put back":
            yield "effect: the limit is what it was", None if queue.limit == 3 and json.loads(queue.changes[1]["body"])["was"] == 5 else \
                f"{queue.limit} {[c['body'] for c in queue.changes]}"
        if name == "keyed":
            key = [r for r in box.rows() if r["kind"] == "INTENT"][0]["payload"].get("key", "?")
            yield "effect: the key is the effect's", None if queue.changes[0]["headers"].get("idempotency-key") == key else f"{queue.changes}"
    server.close()


def bad_cases(program, scratch):
    for n, (name, request, pattern) in enumerate(BAD):
        box = stand.Box(program, scratch / f"bad{n}", config("http://h", requests=f" {{ r: {request} }}\n"), "{ http: web }")
        yield "declared: " + name, expect(box.run("resolve 'x'"), 2, r"midwatch\.yaml:2:\d+", pattern)


SECRET = "s3cret/Key+with=signs"


def sigv4_of(request, region, service):
    """The signature that the request should have, computed from what arrived."""
    h = request["headers"]
    auth = dict(part.strip().split("=", 1) for part in h["authorization"].split(" ", 1)[1].split(","))
    signed = auth["SignedHeaders"].split(";")
    canonical = "\n".join([request["method"], request["path"], request["query"], *(f"{n}:{h[n].strip()}" for n in signed), "",
                           ";".join(signed), hashlib.sha256(request["body"]).hexdigest()])
    date = h["x-amz-date"]
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return auth["Signature"], hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), signed, auth["Credential"] == "AKID/" + scope


def auth_cases(program, scratch):
    server = stand.Server(lambda _: (200, {}, "ok"))
    for name, text in (("tok", SECRET), ("session", "session-token-9911")):
        (scratch / name).write_text(text + "\n")
        (scratch / name).chmod(0o600)
    secrets = "secrets:\n" + "".join(f"  {n}: {{ file: '{scratch}/{n}', hosts: ['{server.url}'] }}\n" for n in ("tok", "session"))
    search = "resolve(observe(http.search { text = 'a b' }))"

    def ask(name, auth):
        box = stand.Box(program, scratch / name, config(server.url, f"    auth: {auth}\n") + secrets, "{ http: web }")
        server.requests.clear()
        got = box.run(search)
        leaks = [p.name for p in box.path.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
        return server.requests[0] if server.requests else None, expect(got, 0) or (f"leaked into {leaks}" if leaks else None)

    sent, wrong = ask("basic", "{ kind: basic, user: ops, secret: tok }")
    yield "auth: basic", wrong or (None if sent["headers"]["authorization"] == "Basic " + base64.b64encode(f"ops:{SECRET}".encode()).decode() else f"{sent}")
    sent, wrong = ask("bearer", "{ kind: bearer, secret: tok }")
    yield "auth: bearer", wrong or (None if sent["headers"]["authorization"] == "Bearer " + SECRET else f"{sent}")
    sent, wrong = ask("hmac", "{ kind: hmac, secret: tok, header: X-Sig, prefix: 'v1=', timestamp_header: X-Time, message: '{{timestamp}}:{{method}}:{{path}}:{{body}}' }")
    if not wrong:
        text = f"{sent['headers']['x-time']}:POST:{sent['target']}:".encode() + sent["body"]
        mac = "v1=" + hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
        wrong = None if sent["headers"]["x-sig"] == mac else f"{sent['headers']} instead of {mac}"
    yield "auth: hmac over time, method, path and body", wrong
    for service, more in (("es", ""), ("s3", ", session: { secret: session }")):
        sent, wrong = ask("sigv4" + service, f"{{ kind: sigv4, key_id: AKID, region: eu-west-1, service: {service}, secret: tok{more} }}")
        if not wrong:
            got, wanted, signed, scope = sigv4_of(sent, "eu-west-1", service)
            extra = {"x-amz-security-token", "x-amz-content-sha256"} if more else set()
            wrong = None if got == wanted and scope and extra <= set(signed) else f"{got} instead of {wanted}; {signed}"
        yield f"auth: sigv4 for {service}, verified over what arrived", wrong
    for name, auth, pattern in (("an unknown kind", "{ kind: digest, secret: tok }", r"auth"), ("no user",
        "{ kind: basic, secret: tok }", r"basic wants user"),
                                ("an unknown secret", "{ kind: bearer, secret: tokk }", r"tokk"),
                                ("an unknown key", "{ kind: bearer, secret: tok, usr: x }", r"usr.*did you mean 'user'")):
        box = stand.Box(program, scratch / ("bad-" + name.replace(" ", "-")), config(server.url,
            f"    auth: {auth}\n") + secrets, "{ http: web }")
        yield "auth: " + name, expect(box.run("resolve 'x'"), 2, pattern)
    server.close()


def cases(program, scratch, only):
    for group in (read_cases, effect_cases, bad_cases, auth_cases):
        if only in group.__name__:
            yield from group(program, scratch)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    stand.main(__doc__, cases)
