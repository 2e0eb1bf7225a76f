-- SPDX-License-Identifier: Apache-2.0
-- The releases of a workload: what runs, what ran before, and the patch back to it. Deployments keep them as
-- ReplicaSets, the others as ControllerRevisions. A release is known by the name of that object; revision
-- numbers are given anew and are no identity.

local client = require "client"
local time = require "time"

local REVISION = "deployment.kubernetes.io/revision"

-- Annotations that stay the deployment's own in a rollback (kubectl's list).
local OWN_ANNOTATIONS = {
  ["kubectl.kubernetes.io/last-applied-configuration"] = true, [REVISION] = true,
  ["deployment.kubernetes.io/revision-history"] = true, ["deployment.kubernetes.io/desired-replicas"] = true,
  ["deployment.kubernetes.io/max-replicas"] = true, ["deprecated.deployment.rollback.to"] = true,
}

local releases = {}

--- The text of a LabelSelector.
function releases.selector(selector)
  local parts = {}
  for name, value in pairs(selector.matchLabels or {}) do parts[#parts + 1] = name .. "=" .. value end
  for _, e in ipairs(selector.matchExpressions or {}) do
    local values = table.concat(e.values or {}, ",")
    local forms = { In = e.key .. " in (" .. values .. ")", NotIn = e.key .. " notin (" .. values .. ")", Exists = e.key,
      DoesNotExist = "!" .. e.key }
    parts[#parts + 1] = forms[e.operator] or unknown("error", "a selector with " .. client.clean(e.operator))
  end
  return table.concat(parts, ",")
end

-- A template without what the API server adds or leaves out: empty maps, nulls, the hash label, $patch.
local function normal(v)
  if type(v) ~= "table" then return v ~= json.null and v or nil end
  local out, any = {}, false
  for k, x in pairs(v) do
    local y = normal(x)
    if y ~= nil then out[k], any = y, true end
  end
  return any and out or nil
end

local function key_of(template)
  local copy = normal(template) or {}
  copy["$patch"] = nil
  local labels = copy.metadata and copy.metadata.labels
  if labels then
    labels["pod-template-hash"] = nil
    copy.metadata.labels = normal(labels)
    copy.metadata = normal(copy.metadata)
  end
  return json.encode(copy)
end

local function images(template)
  local names = {}
  for i, c in ipairs(template and template.spec and template.spec.containers or {}) do names[i] = c.image end
  return table.concat(names, ",")
end

releases.images = images

local shapes = {
  deployment = { "replicasets", { template = "spec.template", annotations = "metadata.annotations" } },
  statefulset = { "controllerrevisions", { data = "data", number = "revision", annotations = "metadata.annotations" } },
}
shapes.daemonset = shapes.statefulset

local function release_of(row)
  local notes = row.annotations or {}
  local data = row.data
  return {
    name = row.name, created = row.created, notes = notes, data = data, cause = notes["kubernetes.io/change-cause"],
    template = row.template or data and data.spec and data.spec.template,
    number = math.tointeger(tonumber(row.number or notes[REVISION] or 0)) or 0,
  }
end

--- Owned releases of a workload, newest first, and the one that runs (nil where the controller has not seen it yet).
function releases.of(object, a)
  local fields = { name = "metadata.name", created = "metadata.creationTimestamp", owner = "metadata.ownerReferences[]" }
  for name, path in pairs(shapes[a.kind][2]) do fields[name] = path end
  local path = client.path { group = "apps", version = "v1", plural = shapes[a.kind][1], namespace = a.namespace }
  local list = client.list(path, fields, { selector = releases.selector(object.spec.selector), at_most = 1000 }, function(row)
    for _, owner in ipairs(row.owner or {}) do
      if owner.controller == true and owner.uid == object.metadata.uid then return release_of(row) end
    end
    return nil
  end)
  sort(list, function(x, y) return x.number > y.number end)
  return list, releases.current(object, a, list)
end

--- The release whose template the workload has; else the one that the controller says it runs, once it has seen the
-- last change (templates can be equal and spelt differently).
function releases.current(object, a, list)
  local key = key_of(object.spec.template)
  for _, release in ipairs(list) do
    if release.template and key_of(release.template) == key then return release end
  end
  local status = object.status or {}
  if (status.observedGeneration or 0) < (object.metadata.generation or 0) then return nil end
  local number = tonumber((object.metadata.annotations or {})[REVISION])
  for _, release in ipairs(list) do
    if a.kind == "deployment" and release.number == number or release.name == status.updateRevision then return release end
  end
  return nil
end

--- How many seconds the running release has been there.
function releases.age(object, a)
  local _, current = releases.of(object, a)
  if current then return time.since(current.created) end
  for _, condition in ipairs(object.status and object.status.conditions or {}) do
    if condition.type == "Progressing" and condition.lastUpdateTime then return time.since(condition.lastUpdateTime) end
  end
  return time.since(object.metadata.creationTimestamp)
end

function releases.history(object, a, at_most)
  local out = {}
  for i, release in ipairs((releases.of(object, a))) do
    if i > at_most then break end
    out[i] = {
      revision = release.number, name = release.name, created = release.created, image = images(release.template),
      cause = release.cause,
    }
  end
  return json.array(out)
end

--- The state of a rollback: which release runs, and the names of the others, newest first.
function releases.fields(object, a)
  local list, current = releases.of(object, a)
  local previous = {}
  for _, release in ipairs(list) do
    if release.template and release ~= current then previous[#previous + 1] = release.name end
  end
  return {
    [a.kind == "deployment" and "replicaset" or "revision"] = current and current.name or "", previous = json.array(previous),
    generation = object.metadata.generation, uid = object.metadata.uid,
  }
end

releases.finds = {
  replicaset = "string?", revision = "string?", previous = { list = "string" }, generation = "integer", uid = "string",
  managed_by = "string?",
}

-- Releases that a run of this journal rolled away from, unless that was undone or never happened.
local function left_as_bad(past)
  local bad, counts = {}, { verified = true, applied = true, unverified = true, unknown = true, intended = true }
  for _, entry in ipairs(past or {}) do
    local from = type(entry.from) == "table" and (entry.from.replicaset or entry.from.revision)
    if from and counts[entry.outcome] then bad[from] = true end
  end
  return bad
end

--- The newest other release that nobody has left as bad; "the second newest" would toggle back to the bad one.
function releases.want(a, found, past)
  local bad = left_as_bad(past)
  for _, name in ipairs(found.previous or {}) do
    if not bad[name] then return a.kind == "deployment" and { replicaset = name } or { revision = name } end
  end
  refused("there is no earlier release to roll back to")
end

local function deployment_patch(object, target)
  local template, annotations = target.template, {}
  if template.metadata and template.metadata.labels then template.metadata.labels["pod-template-hash"] = nil end
  for k, v in pairs(target.notes) do
    if not OWN_ANNOTATIONS[k] then annotations[k] = v end
  end
  for k, v in pairs(object.metadata.annotations or {}) do
    if OWN_ANNOTATIONS[k] then annotations[k] = v end
  end
  return json.array {
    { op = "test", path = "/metadata/resourceVersion", value = object.metadata.resourceVersion },
    { op = "replace", path = "/spec/template", value = template },
    { op = object.metadata.annotations and "replace" or "add", path = "/metadata/annotations", value = annotations },
  }
end

--- The patch to the wanted release: kubectl's for a deployment; for the others what the controller stored.
function releases.build(object, a, to)
  local list, target = releases.of(object, a), nil
  for _, release in ipairs(list) do
    if release.name == (to.replicaset or to.revision) then target = release end
  end
  if not target then refused("the release '" .. client.clean(to.replicaset or to.revision) .. "' is gone") end
  if a.kind == "deployment" then return deployment_patch(object, target) end
  local patch = target.data
  patch.metadata = patch.metadata or {}
  patch.metadata.resourceVersion = object.metadata.resourceVersion
  return patch
end

return releases
