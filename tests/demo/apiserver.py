# SPDX-License-Identifier: Apache-2.0
"""The two doors of the stand-in cluster: the API (plain or TLS) and an internal one for the demo.

The internal door needs no token: GET /internal/traffic (who serves), /internal/log (every write),
/internal/world (a dump), POST /internal/rules (plant a fault) and /internal/denied (take a right away).
"""
import json

import http11

JSON = {"Content-Type": "application/json"}


class ApiServer:
    """Serves one World."""

    def __init__(self, world, namespace, deployment, database):
        self.world, self.watched = world, (namespace, deployment, database)

    async def api(self, request):
        status, headers, body = self.world.handle(request.method, request.path, request.query, request.headers,
                                                  request.body)
        return None if status is None else (status, headers, body)

    async def internal(self, request):
        world, path = self.world, request.path
        if request.method == "POST" and path in ("/internal/rules", "/internal/denied"):
            try:
                rule = json.loads(request.body)
                if not isinstance(rule, dict) or path.endswith("rules") and "do" not in rule:
                    raise ValueError("a rule is an object with do")
            except ValueError as bad:
                return 400, JSON, json.dumps({"error": str(bad)}).encode()
            (world.rules if path.endswith("rules") else world.denied).append(rule)
            return 200, JSON, b"{}"
        if path == "/internal/traffic":
            return 200, JSON, json.dumps(world.traffic(*self.watched)).encode()
        if path == "/internal/log":
            return 200, JSON, json.dumps(world.log).encode()
        if path == "/internal/world":
            return 200, JSON, world.dump().encode()
        return 404, JSON, b"{}"

    async def serve(self, api_socket, internal_socket, tls=None):
        return [await http11.serve(self.api, api_socket, tls), await http11.serve(self.internal, internal_socket)]
