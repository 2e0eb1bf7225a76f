-- SPDX-License-Identifier: Apache-2.0
-- Kubernetes over its REST API, 1.26 and later. This file declares the things; the modules beside it their
-- reads and effects.
--
--   prod-eu: { plugin: kubernetes, kubeconfig: /path, context: name, timeout: 10s }
--
-- credential_command: the one program that the kubeconfig's user may run for a credential (exec).
-- write_owned: effects may also change what Argo CD, Flux or an operator owns.
-- patch: { configmaps: [data.level] }: fields that object(...):set may change.

local words = require "words"

local declaration = {
  settings = {
    kubeconfig = "string", context = "string", timeout = "duration", credential_command = "string", write_owned = "boolean",
    patch = "map",
  },
  things = {}, reads = {}, effects = {}, says = words.says, means = words.means,
}

local function thing(name, is, args, set)
  local params = {}
  for _, arg in ipairs(args) do params[arg] = "string" end
  declaration.things[name] = { is = is, args = args, params = params, set = set or { kind = name } }
end

for _, name in ipairs { "deployment", "statefulset", "daemonset" } do thing(name, "workload", { "namespace", "name" }) end
for _, name in ipairs { "job", "cronjob", "pod", "claim", "autoscaler", "lease" } do
  thing(name, name, { "namespace", "name" })
end
for _, name in ipairs { "node", "namespace" } do thing(name, name, { "name" }) end
thing("object", "object", { "object", "namespace", "name" })

for _, part in ipairs { "workloads", "pods", "jobs", "nodes", "objects", "around" } do
  local module = require(part)
  for verb, spec in pairs(module.reads) do declaration.reads[verb] = spec end
  for verb, spec in pairs(module.effects) do declaration.effects[verb] = spec end
end

local client, credentials, objects, workloads = require "client", require "credentials", require "objects", require "workloads"

function declaration.probe()
  local version = client.get("/version")
  return "Kubernetes " .. client.clean(version.gitVersion) .. " at " .. credentials.now().server
end

local core = { pod = "pods", node = "nodes", claim = "persistentvolumeclaims" }
local asked = {
  delete = { "delete" }, evict = { "create", "eviction" }, rerun = { "create" }, scale = { "patch", "scale" },
}

local function resource_of(kind, namespace, name)
  local a = { kind = kind, namespace = namespace, name = name }
  if core[kind] then return { group = "", plural = core[kind], namespace = namespace, name = name } end
  if kind == "autoscaler" then
    return { group = "autoscaling", plural = "horizontalpodautoscalers", namespace = namespace, name = name }
  end
  local r = workloads.is(kind) and workloads.resource(a) or objects.kind(kind)
  r.namespace, r.name = namespace, name
  return r
end

--- Whether the cluster lets us make an effect on a target: its own access review.
function declaration.permitted(effect, target)
  local kind, namespace, name = string.match(target, "^([^/]+)/([^/]+)/([^/]+)$")
  if not kind then kind, name = string.match(target, "^([^/]+)/([^/]+)$") end
  if not kind then return false, "'" .. client.clean(target) .. "' is no target" end
  local r, ask = resource_of(kind, namespace, name), asked[effect] or { "patch" }
  r.sub = ask[2]
  local may, why = client.may(ask[1], r)
  if may == nil then unknown("error", "whether " .. effect .. " is permitted cannot be told: " .. why) end
  return may, why
end

return plugin "kubernetes"(declaration)
