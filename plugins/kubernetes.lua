-- SPDX-License-Identifier: Apache-2.0
-- Kubernetes over its REST API: deployments and statefulsets, their state and history, scale and rollback.
-- Every change carries the target's own precondition (resourceVersion), is made only where nobody else
-- owns the field, and names an absolute end state, so that nothing compounds on a retry.
--
--   prod-eu: { plugin: kubernetes, kubeconfig: /path, context: name, timeout: 10s }

local MAX_BODY = 8 * 1024 * 1024
local PAGE, PAGES_MAX = 250, 40
local TRIES = 3
local REVISION = "deployment.kubernetes.io/revision"

-- Annotations that stay the deployment's own in a rollback (kubectl's list).
local OWN_ANNOTATIONS = {
  ["kubectl.kubernetes.io/last-applied-configuration"] = true, [REVISION] = true,
  ["deployment.kubernetes.io/revision-history"] = true, ["deployment.kubernetes.io/desired-replicas"] = true,
  ["deployment.kubernetes.io/max-replicas"] = true, ["deprecated.deployment.rollback.to"] = true,
}

local cluster        -- {server, token, ca, ...}, read at the first call

local function named(list, name, field)
  for _, entry in ipairs(list or {}) do
    if entry.name == name then return entry[field] end
  end
  return nil
end

local function is_loopback(server)
  local host = string.match(server, "^http://%[?([^%]/]+)%]?")
  host = host and string.gsub(host, ":%d+$", "") or ""
  return host == "localhost" or host == "::1" or string.find(host, "^127%.") ~= nil
end

local function data_or_file(from, key)
  if from[key .. "-data"] then return base64(from[key .. "-data"]) end
  if from[key] then return file(from[key]) end
  return nil
end

local function connect()
  if cluster then return cluster end
  local settings = instance.settings
  local path = settings.kubeconfig or unknown("error", "the instance has no kubeconfig")
  local config = yaml.decode(file(path))
  if type(config) ~= "table" then unknown("error", path .. " is no kubeconfig") end
  local name = settings.context or config["current-context"] or ""
  local context = named(config.contexts, name, "context")
  if not context then unknown("error", path .. " has no context '" .. name .. "'") end
  local server = named(config.clusters, context.cluster, "cluster")
  local user = named(config.users, context.user, "user") or {}
  if not server or type(server.server) ~= "string" then
    unknown("error", path .. " has no cluster '" .. tostring(context.cluster) .. "'")
  end
  if user.exec or user["auth-provider"] then unknown("error", path .. ": exec and auth-provider users are not supported") end
  local found = {
    server = (string.gsub(server.server, "/+$", "")), ca = data_or_file(server, "certificate-authority"),
    server_name = server["tls-server-name"], insecure = server["insecure-skip-tls-verify"] == true,
    cert = data_or_file(user, "client-certificate"), key = data_or_file(user, "client-key"), token_file = user.tokenFile,
  }
  local token = user.tokenFile and file(user.tokenFile) or user.token
  if token then
    if string.find(found.server, "^http://") and not is_loopback(found.server) then
      unknown("error", "the token is not sent over http://; use https://")
    end
    found.token = secret((string.gsub(token, "%s+$", "")))
  end
  cluster = found
  return cluster
end

local function timeout() return tonumber(string.match(tostring(instance.settings.timeout), "^(%d+)s$") or 10) end

local function request(method, path, body, content_type, stores_nothing)
  local c = connect()
  return http {
    method = method, url = c.server .. path, bearer = c.token, ca = c.ca, cert = c.cert, key = c.key,
    server_name = c.server_name, insecure = c.insecure, body = body, timeout = timeout(), max_body = MAX_BODY,
    stores_nothing = stores_nothing, headers = { Accept = "application/json", ["Content-Type"] = content_type },
  }
end

local function clean(text)
  text = string.gsub(tostring(text), "%c", " ")
  return #text > 300 and string.sub(text, 1, 300) .. "..." or text
end

--- What an answer that is no success says of itself.
local function reason(answer)
  local ok, status = try(json.decode, answer.body)
  if ok and type(status) == "table" and status.message then
    return string.format("HTTP %d %s: %s", answer.status, clean(status.reason or ""), clean(status.message))
  end
  return string.format("HTTP %d: %s", answer.status, clean(string.sub(answer.body or "", 1, 200)))
end

local function decode(answer)
  local ok, body = try(json.decode, answer.body)
  if not ok or type(body) ~= "table" then
    unknown("error", "no JSON from the cluster: " .. clean(string.sub(answer.body, 1, 120)))
  end
  return body
end

local function get(path)
  local answer = request("GET", path)
  if answer.status ~= 200 then unknown("error", reason(answer)) end
  return decode(answer)
end

local function escape(text)
  return (string.gsub(text, "[^%w%-_.~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

local plural = { deployment = "deployments", statefulset = "statefulsets" }

local function workload_path(a)
  for _, name in ipairs { a.namespace, a.name } do
    if not string.find(name, "^[%w][%w.-]*$") then
      unknown("error", "'" .. clean(name) .. "' is no name of a Kubernetes object")
    end
  end
  return string.format("/apis/apps/v1/namespaces/%s/%s/%s", escape(a.namespace), plural[a.kind], escape(a.name))
end

local function all_pages(path)
  local items, continue = {}, ""
  for _ = 1, PAGES_MAX do
    local list = get(path .. (continue ~= "" and "&continue=" .. escape(continue) or ""))
    for _, item in ipairs(list.items or {}) do items[#items + 1] = item end
    continue = list.metadata and list.metadata.continue or ""
    if continue == "" then return items end
  end
  unknown("error", "the list has more than " .. PAGE * PAGES_MAX .. " entries")
end

local function selector(object)
  local parts = {}
  for name, value in pairs(object.spec.selector.matchLabels or {}) do parts[#parts + 1] = name .. "=" .. value end
  for _, e in ipairs(object.spec.selector.matchExpressions or {}) do
    local values = table.concat(e.values or {}, ",")
    local forms = { In = e.key .. " in (" .. values .. ")", NotIn = e.key .. " notin (" .. values .. ")", Exists = e.key,
      DoesNotExist = "!" .. e.key }
    parts[#parts + 1] = forms[e.operator] or unknown("error", "a selector with " .. clean(e.operator))
  end
  return table.concat(parts, ",")
end

local function owned_by(object, resource, a)
  local path = string.format("/apis/apps/v1/namespaces/%s/%s?limit=%d&labelSelector=%s", escape(a.namespace), resource, PAGE,
    escape(selector(object)))
  local owned = {}
  for _, item in ipairs(all_pages(path)) do
    for _, owner in ipairs(item.metadata.ownerReferences or {}) do
      if owner.controller == true and owner.uid == object.metadata.uid then owned[#owned + 1] = item end
    end
  end
  return owned
end

-- A template without what the API server adds or leaves out: empty maps, nulls, the hash label.
local function normal(v)
  if type(v) ~= "table" then return v ~= json.null and v or nil end
  local out, any = {}, false
  for k, x in pairs(v) do
    local y = normal(x)
    if y ~= nil then out[k], any = y, true end
  end
  return any and out or nil
end

local function template_key(template)
  local copy = normal(template) or {}
  local labels = copy.metadata and copy.metadata.labels
  if labels then
    labels["pod-template-hash"] = nil
    copy.metadata.labels = normal(labels)
    copy.metadata = normal(copy.metadata)
  end
  return json.encode(copy)
end

local function revision_of(item)
  return math.tointeger(tonumber((item.metadata.annotations or {})[REVISION] or item.revision or 0)) or 0
end

--- Owned ReplicaSets, newest revision first, and the one that is current.
local function releases(deployment, a)
  local sets = owned_by(deployment, "replicasets", a)
  local by_revision = {}
  for _, set in ipairs(sets) do by_revision[#by_revision + 1] = set end
  for i = 2, #by_revision do
    local set, k = by_revision[i], i - 1
    while k > 0 and revision_of(by_revision[k]) < revision_of(set) do
      by_revision[k + 1], k = by_revision[k], k - 1
    end
    by_revision[k + 1] = set
  end
  local key, current = template_key(deployment.spec.template), nil
  for _, set in ipairs(by_revision) do
    if template_key(set.spec.template) == key then current = current or set end
  end
  return by_revision, current, key
end

local function seconds_since(stamp)
  local y, mo, d, h, mi, s = string.match(tostring(stamp), "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
  if not y then unknown("error", "no time: " .. clean(stamp)) end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  if mo <= 2 then y, mo = y - 1, mo + 12 end
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (mo - 3) + 2) // 5 + d - 719469
  return math.max(0.0, now() - (days * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s)))
end

-- When the running release was rolled out: the deployment's own note of it, else the age of its ReplicaSet.
local function rolled_out_at(object, current)
  for _, condition in ipairs(object.status and object.status.conditions or {}) do
    if condition.type == "Progressing" and condition.lastUpdateTime then return condition.lastUpdateTime end
  end
  return current and current.metadata.creationTimestamp or object.metadata.creationTimestamp
end

local function images(object)
  local names = {}
  for i, c in ipairs(object.spec.template.spec.containers or {}) do names[i] = c.image end
  return table.concat(names, ",")
end

local function revision_age(a)
  local object = get(workload_path(a))
  if a.kind == "deployment" then
    local _, current = releases(object, a)
    return seconds_since(current and current.metadata.creationTimestamp or rolled_out_at(object))
  end
  local newest
  for _, revision in ipairs(owned_by(object, "controllerrevisions", a)) do
    if not newest or revision.revision > newest.revision then newest = revision end
  end
  return seconds_since(newest and newest.metadata.creationTimestamp or object.metadata.creationTimestamp)
end

local function state(a)
  local o = get(workload_path(a))
  local s = o.status or {}
  return {
    replicas = o.spec.replicas or 1, ready = s.readyReplicas or 0, available = s.availableReplicas or 0,
    updated = s.updatedReplicas or 0, generation = o.metadata.generation, observed_generation = s.observedGeneration or 0,
    paused = o.spec.paused == true, image = images(o),
  }
end

local function history(a)
  local object, out = get(workload_path(a)), {}
  local list = a.kind == "deployment" and releases(object, a) or owned_by(object, "controllerrevisions", a)
  for i, item in ipairs(list) do
    if i > 100 then break end
    out[i] = {
      revision = revision_of(item), name = item.metadata.name, created = item.metadata.creationTimestamp,
      image = item.spec and images(item) or "", cause = (item.metadata.annotations or {})["kubernetes.io/change-cause"],
    }
  end
  return json.array(out)
end

--- Refuses where a HorizontalPodAutoscaler owns the replicas: it would undo the change in seconds.
local function refuse_autoscaled(a)
  local answer = request("GET", string.format("/apis/autoscaling/v2/namespaces/%s/horizontalpodautoscalers?limit=%d",
    escape(a.namespace), PAGE))
  if answer.status == 404 then return end
  if answer.status ~= 200 then unknown("error", "whether an autoscaler owns it cannot be told: " .. reason(answer)) end
  for _, hpa in ipairs(decode(answer).items or {}) do
    local of = hpa.spec and hpa.spec.scaleTargetRef or {}
    if string.lower(of.kind or "") == a.kind and of.name == a.name then
      refused("the autoscaler '" .. clean(hpa.metadata.name) .. "' owns its replicas; change the autoscaler's bounds")
    end
  end
end

local function scale_fields(o)
  return { replicas = o.spec.replicas or 1, generation = o.metadata.generation, uid = o.metadata.uid }
end

local function release_fields(o, a)
  local sets, current, key = releases(o, a)
  local previous = {}
  for _, set in ipairs(sets) do
    if template_key(set.spec.template) ~= key then previous[#previous + 1] = set.metadata.name end
  end
  return {
    replicaset = current and current.metadata.name or "", previous = json.array(previous), generation = o.metadata.generation,
    uid = o.metadata.uid,
  }, sets
end

local function same(x, y) return json.encode(x) == json.encode(y) end

local function equal_fields(found, from)
  for k, v in pairs(from) do
    if not same(found[k], v) then return false end
  end
  return true
end

--- Sends a change with its precondition until it is accepted or refused for good. `build` gives the body for
-- the object as it is now; `fields` what must still equal `from`.
local function change(a, from, fields, build, content_type)
  local path = workload_path(a)
  for try_number = 1, TRIES do
    local object = get(path)
    if not equal_fields(fields(object), from) then moved(path .. " was changed by somebody else") end
    local answer = request("PATCH", path .. "?fieldManager=midwatch", json.encode(build(object)), content_type)
    local status = answer.status
    if status >= 200 and status < 300 then return { status = status } end
    if status >= 500 or status < 400 then maybe(reason(answer)) end
    -- A failed precondition of a JSON patch is a 422 like any other; whether it was one shows in the object.
    local again = status == 409 or status == 429
      or status == 422 and get(path).metadata.resourceVersion ~= object.metadata.resourceVersion
    if not again or try_number == TRIES then refused(reason(answer)) end
    pause(math.min(tonumber(answer.headers["retry-after"]) or 0.2 * try_number, 10))
  end
end

local function rollback_patch(a, to)
  return function(object)
    local _, sets = release_fields(object, a)
    local target
    for _, set in ipairs(sets) do
      if set.metadata.name == to.replicaset then target = set end
    end
    if not target then refused("the release '" .. clean(to.replicaset) .. "' is gone") end
    local template, annotations = target.spec.template, {}
    if template.metadata and template.metadata.labels then template.metadata.labels["pod-template-hash"] = nil end
    for k, v in pairs(target.metadata.annotations or {}) do
      if not OWN_ANNOTATIONS[k] then annotations[k] = v end
    end
    for k, v in pairs(object.metadata.annotations or {}) do
      if OWN_ANNOTATIONS[k] then annotations[k] = v end
    end
    return json.array {
      { op = "test", path = "/metadata/resourceVersion", value = object.metadata.resourceVersion },
      { op = "replace", path = "/spec/template", value = template },
      { op = "replace", path = "/metadata/annotations", value = annotations },
    }
  end
end

-- Releases that a run of this journal rolled away from, unless that was undone or never happened.
local function left_as_bad(past)
  local bad, counts = {}, { verified = true, applied = true, unverified = true, unknown = true, intended = true }
  for _, entry in ipairs(past or {}) do
    if counts[entry.outcome] and type(entry.from) == "table" and entry.from.replicaset then bad[entry.from.replicaset] = true end
  end
  return bad
end

local REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

--- Whether the cluster lets us change the target: its own access review.
local function permitted(effect, target)
  local kind, namespace, name = string.match(target, "^([^/]+)/([^/]+)/([^/]+)$")
  if not plural[kind] then return false, "'" .. clean(target) .. "' is no workload" end
  local wanted = { verb = "patch", group = "apps", resource = plural[kind], namespace = namespace, name = name }
  local review = { apiVersion = "authorization.k8s.io/v1", kind = "SelfSubjectAccessReview",
    spec = { resourceAttributes = wanted } }
  local answer = request("POST", REVIEWS, json.encode(review), "application/json", true)
  if answer.status ~= 201 then unknown("error", "whether " .. effect .. " is permitted cannot be told: " .. reason(answer)) end
  local status = decode(answer).status or {}
  return status.allowed == true, clean(status.reason or "no right to patch it")
end

local function probe()
  local version = get("/version")
  return "Kubernetes " .. clean(version.gitVersion) .. " at " .. connect().server
end

local workload = { namespace = "string", name = "string" }

return plugin "kubernetes" {
  settings = { kubeconfig = "string", context = "string", timeout = "duration" },
  probe = probe, permitted = permitted,
  things = {
    deployment = { is = "workload", args = { "namespace", "name" }, params = workload, set = { kind = "deployment" } },
    statefulset = { is = "workload", args = { "namespace", "name" }, params = workload, set = { kind = "statefulset" } },
  },
  reads = {
    state = {
      on = "workload", read = state,
      returns = { replicas = "integer", ready = "integer", available = "integer", updated = "integer", generation = "integer",
        observed_generation = "integer", paused = "boolean", image = "string" },
    },
    replicas = { on = "workload", returns = "integer", read = function(a) return get(workload_path(a)).spec.replicas or 1 end },
    revision_age = { on = "workload", returns = "number", unit = "s", read = revision_age },
    history = {
      on = "workload", read = history,
      returns = { list = { revision = "integer", name = "string", created = "string", image = "string", cause = "string" } },
    },
  },
  effects = {
    scale = {
      on = "workload", args = { "replicas" }, params = { replicas = "integer >= 0" }, class = "ensure",
      target = "{{kind}}/{{namespace}}/{{name}}",
      state = function(a)
        refuse_autoscaled(a)
        return scale_fields(get(workload_path(a)))
      end,
      want = function(a) return { replicas = a.replicas } end,
      apply = function(a, from, to)
        return change(a, from, scale_fields, function(o)
          return { metadata = { resourceVersion = o.metadata.resourceVersion }, spec = { replicas = to.replicas } }
        end, "application/merge-patch+json")
      end,
    },
    rollback = {
      on = "workload", class = "ensure", target = "{{kind}}/{{namespace}}/{{name}}", history = true,
      state = function(a)
        if a.kind ~= "deployment" then refused("only deployments can be rolled back") end
        local o = get(workload_path(a))
        if o.spec.paused then refused("the deployment is paused; resume it first") end
        return (release_fields(o, a))
      end,
      -- The newest other release that nobody has left as bad; "the second newest" would toggle back to the bad one.
      want = function(_, found, past)
        local bad = left_as_bad(past)
        for _, name in ipairs(found.previous) do
          if not bad[name] then return { replicaset = name } end
        end
        refused("there is no earlier release to roll back to")
      end,
      apply = function(a, from, to)
        local fields = function(o) return (release_fields(o, a)) end
        return change(a, from, fields, rollback_patch(a, to), "application/json-patch+json")
      end,
    },
  },
}
