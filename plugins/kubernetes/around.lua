-- SPDX-License-Identifier: Apache-2.0
-- What stands around the pods: events, usage, claims and their classes, autoscalers, leases.

local client = require "client"
local pods = require "pods"
local time = require "time"
local writing = require "writing"

local around = { reads = {}, effects = {} }

local function core(plural, a) return { group = "", version = "v1", plural = plural, namespace = a.namespace, name = a.name } end

local function in_group(group, version, plural)
  return function(a) return { group = group, version = version, plural = plural, namespace = a.namespace, name = a.name } end
end

-- One object as a row of picked fields, through the list.
local function row_of(r, fields)
  local name, found = r.name, nil
  r.name = nil
  client.list(client.path(r), fields, { fields = "metadata.name=" .. name }, function(row) found = row end)
  return found or unknown("no_data", string.format("there is no %s %s/%s", string.gsub(r.plural, "s$", ""), r.namespace, name))
end

-- events

local event_fields = {
  type = "type", reason = "reason", message = "message", count = "count", last = "lastTimestamp", first = "firstTimestamp",
  at = "eventTime", series = "series", kind = "involvedObject.kind", name = "involvedObject.name",
  created = "metadata.creationTimestamp",
}
local event_kinds = {
  deployment = "Deployment", statefulset = "StatefulSet", daemonset = "DaemonSet", job = "Job", pod = "Pod", node = "Node",
  claim = "PersistentVolumeClaim", autoscaler = "HorizontalPodAutoscaler",
}

-- Newer emitters leave lastTimestamp out and count in a series.
local function event(row)
  local series = row.series or {}
  return {
    type = row.type or "Normal", reason = row.reason or "", message = row.message or "", count = series.count or row.count or 1,
    age = time.since(series.lastObservedTime or row.last or row.at or row.first or row.created),
    object = (row.kind or "") .. "/" .. (row.name or ""),
  }
end

around.reads.events = {
  on = { "workload", "job", "pod", "node", "claim", "autoscaler", "namespace" },
  options = { type = "string?", reason = "string?", since = "duration?", at_most = "integer? > 0" },
  returns = { list = { type = "string", reason = "string", message = "string", count = "integer", age = "number",
    object = "string" } },
  read = function(a)
    local tests, kind = {}, event_kinds[a.kind]
    if kind then tests = { "involvedObject.kind=" .. kind, "involvedObject.name=" .. a.name } end
    if a.type then tests[#tests + 1] = "type=" .. a.type end
    if a.reason then tests[#tests + 1] = "reason=" .. a.reason end
    local namespace = a.namespace
    if a.kind == "namespace" then namespace = a.name end
    local list = client.list(client.path(core("events", { namespace = namespace })), event_fields,
      { fields = table.concat(tests, ","), at_most = a.at_most }, function(row)
        local e = event(row)
        return (not a.since or e.age <= a.since) and e or nil
      end)
    sort(list, function(x, y) return x.age < y.age end)
    return list
  end,
}

-- top

local function used(usage)
  local cpu, memory = 0, 0
  for _, u in ipairs(usage) do
    cpu, memory = cpu + time.quantity(u.cpu or "0"), memory + time.quantity(u.memory or "0")
  end
  return cpu + 0.0, memory
end

around.reads.top = {
  on = { "workload", "pod", "node", "namespace" }, options = { at_most = "integer? > 0" }, max_age = 180,
  returns = { list = { name = "string", cpu = "number", memory = "number", age = "number" } },
  read = function(a)
    local is_node = a.kind == "node"
    local r = in_group("metrics.k8s.io", "v1beta1", is_node and "nodes" or "pods") { namespace = a.namespace }
    local q = { at_most = a.at_most }
    if a.kind == "namespace" then r.namespace = a.name
    elseif a.kind ~= "pod" and not is_node then q.selector = select(2, pods.of(a)).selector end
    local fields = { name = "metadata.name", at = "timestamp", node = "usage", containers = "containers[].usage" }
    local list = client.list(client.path(r), fields, q, function(row)
      if (a.kind == "pod" or is_node) and row.name ~= a.name then return nil end
      local cpu, memory = used(row.node and { row.node } or row.containers or {})
      return { name = row.name, cpu = cpu, memory = memory, age = time.since(row.at) }
    end)
    local oldest = 0
    for _, row in ipairs(list) do oldest = math.max(oldest, row.age) end
    return answer(list, { at = now() - oldest })
  end,
}

-- claims

local claim_fields = {
  name = "metadata.name", phase = "status.phase", class = "spec.storageClassName", requested = "spec.resources.requests.storage",
  size = "status.capacity.storage", volume = "spec.volumeName", conditions = "status.conditions[].type",
}

local function claim(row)
  return {
    name = row.name, phase = row.phase or "", class = row.class or "", volume = row.volume or "",
    requested = time.quantity(row.requested or "0"), size = time.quantity(row.size or "0"),
    resizing = table.concat(row.conditions or {}, ", "),
  }
end

local claim_returns = { name = "string", phase = "string", class = "string", volume = "string", requested = "integer >= 1",
  size = "integer", resizing = "string" }

around.reads.claim_state = {
  on = "claim", called = "state", returns = claim_returns,
  read = function(a) return claim(row_of(core("persistentvolumeclaims", a), claim_fields)) end,
}
around.reads.claims = {
  on = "namespace", options = { selector = "string?", at_most = "integer? > 0" }, returns = { list = claim_returns },
  read = function(a)
    return client.list(client.path(core("persistentvolumeclaims", { namespace = a.name })), claim_fields, a, claim)
  end,
}

local class_path = "/apis/storage.k8s.io/v1/storageclasses"

around.reads.storage_classes = {
  returns = { list = { name = "string", provisioner = "string", expandable = "boolean", default = "boolean" } },
  read = function()
    local fields = { name = "metadata.name", provisioner = "provisioner", expandable = "allowVolumeExpansion",
      default = 'metadata.annotations["storageclass.kubernetes.io/is-default-class"]' }
    return client.list(class_path, fields, {}, function(row)
      return {
        name = row.name, provisioner = row.provisioner, expandable = row.expandable == true, default = row.default == "true",
      }
    end)
  end,
}

around.effects.resize = writing.effect {
  on = "claim", args = { "size" }, params = { size = "integer > 0" }, target = "claim/{{namespace}}/{{name}}",
  irreversible = true, shared = true, resource = function(a) return core("persistentvolumeclaims", a) end,
  guard = function(o, a)
    local requested = time.quantity(o.spec.resources.requests.storage)
    if (o.status or {}).phase ~= "Bound" then refused "the claim is not bound" end
    if a.size < requested then refused(string.format("a claim cannot shrink: it has %d bytes", requested)) end
    local class = client.get(class_path .. "/" .. client.escape(o.spec.storageClassName or ""))
    if class.allowVolumeExpansion ~= true then
      refused("the storage class '" .. client.clean(o.spec.storageClassName) .. "' allows no expansion")
    end
  end,
  fields = function(o) return { size = time.quantity(o.spec.resources.requests.storage), uid = o.metadata.uid } end,
  want = function(a) return { size = a.size } end,
  build = function(o, _, to)
    return writing.merge(o, { spec = { resources = { requests = { storage = string.format("%d", to.size) } } } })
  end,
}

-- autoscalers

local autoscaler = in_group("autoscaling", "v2", "horizontalpodautoscalers")

around.reads.autoscaler_state = {
  on = "autoscaler", called = "state",
  returns = { min = "integer", max = "integer", current = "integer", desired = "integer", active = "boolean", able = "boolean",
    limited = "boolean", why = "string", target = "string" },
  read = function(a)
    local row = row_of(autoscaler(a), {
      min = "spec.minReplicas", max = "spec.maxReplicas", current = "status.currentReplicas", desired = "status.desiredReplicas",
      active = "status.conditions[type=ScalingActive]", able = "status.conditions[type=AbleToScale].status",
      limited = "status.conditions[type=ScalingLimited].status", kind = "spec.scaleTargetRef.kind",
      name = "spec.scaleTargetRef.name",
    })
    local active = row.active or {}
    return {
      min = row.min or 1, max = row.max, current = row.current or 0, desired = row.desired or 0, active = active.status == "True",
      able = row.able == "True", limited = row.limited == "True", why = active.status ~= "True" and active.message or "",
      target = string.lower(row.kind or "") .. "/" .. (row.name or ""),
    }
  end,
}

around.effects.bounds = writing.effect {
  on = "autoscaler", args = { "min", "max" }, params = { min = "integer >= 0", max = "integer >= 1" },
  target = "autoscaler/{{namespace}}/{{name}}", resource = autoscaler,
  guard = function(_, a) if a.min > a.max then refused "min is above max" end end,
  fields = function(o) return { min = o.spec.minReplicas or 1, max = o.spec.maxReplicas, uid = o.metadata.uid } end,
  want = function(a) return { min = a.min, max = a.max } end,
  build = function(o, _, to) return writing.merge(o, { spec = { minReplicas = to.min, maxReplicas = to.max } }) end,
}

-- leases

around.reads.lease_state = {
  on = "lease", called = "state",
  returns = { holder = "string", renewed_ago = "number?", duration = "integer?", transitions = "integer", expired = "boolean" },
  read = function(a)
    local row = row_of(in_group("coordination.k8s.io", "v1", "leases")(a), { spec = "spec" })
    local s = row.spec or {}
    local ago = s.renewTime and time.since(s.renewTime) or nil
    return {
      holder = s.holderIdentity or "", renewed_ago = ago, duration = s.leaseDurationSeconds,
      transitions = s.leaseTransitions or 0,
      expired = not ago or not s.leaseDurationSeconds or ago > s.leaseDurationSeconds,
    }
  end,
}

return around
