-- SPDX-License-Identifier: Apache-2.0
-- Deployments, statefulsets and daemonsets: their state, and the effects on their spec; cron jobs stop like deployments.

local client = require "client"
local releases = require "releases"
local time = require "time"
local writing = require "writing"

-- Marks the pod template with the generation that was restarted: a second sending of one restart changes nothing.
local RESTARTED, RESTARTED_AT = "midwatch/restarted-generation", "kubectl.kubernetes.io/restartedAt"
local STRATEGIC, JSON_PATCH = "application/strategic-merge-patch+json", "application/json-patch+json"

local plural = { deployment = "deployments", statefulset = "statefulsets", daemonset = "daemonsets", cronjob = "cronjobs" }

local workloads = { reads = {}, effects = {} }

function workloads.is(kind) return plural[kind] ~= nil end

function workloads.resource(a)
  local group = a.kind == "cronjob" and "batch" or "apps"
  return { group = group, version = "v1", plural = plural[a.kind], namespace = a.namespace, name = a.name }
end

local function get(a) return client.get(client.path(workloads.resource(a))) end

--- The label selector of a workload's pods.
function workloads.selector(a) return releases.selector(get(a).spec.selector) end

-- Desired, ready, available and updated pods; a daemonset counts nodes.
local function counts(o, a)
  local s = o.status or {}
  if a.kind == "daemonset" then
    return s.desiredNumberScheduled or 0, s.numberReady or 0, s.numberAvailable or 0, s.updatedNumberScheduled or 0
  end
  return o.spec.replicas or 1, s.readyReplicas or 0, s.availableReplicas or 0, s.updatedReplicas or 0
end

local function state(a)
  local o = get(a)
  local want, ready, available, updated = counts(o, a)
  return {
    replicas = want, ready = ready, available = available, updated = updated, generation = o.metadata.generation,
    observed_generation = o.status and o.status.observedGeneration or 0, paused = o.spec.paused == true,
    image = releases.images(o.spec.template),
  }
end

local function condition(o, kind)
  for _, c in ipairs(o.status and o.status.conditions or {}) do
    if c.type == kind then return c end
  end
  return {}
end

-- kubectl's decision table of `rollout status`, in its order.
local function deployment_waits(o)
  local s = o.status or {}
  local want, updated = o.spec.replicas or 1, s.updatedReplicas or 0
  if o.spec.paused then return "it is paused" end
  if updated < want then return string.format("%d of %d pods are updated", updated, want) end
  if (s.replicas or 0) > updated then return string.format("%d old pods are ending", s.replicas - updated) end
  if (s.availableReplicas or 0) < updated then
    return string.format("%d of %d updated pods are available", s.availableReplicas or 0, updated)
  end
  return nil
end

local function statefulset_waits(o)
  local s, strategy = o.status or {}, o.spec.updateStrategy or {}
  local want, partition = o.spec.replicas or 1, strategy.rollingUpdate and strategy.rollingUpdate.partition or 0
  if strategy.type == "OnDelete" then return "its pods are updated by hand (OnDelete)" end
  if (s.readyReplicas or 0) < want then return string.format("%d of %d pods are ready", s.readyReplicas or 0, want) end
  if partition > 0 then
    local due = want - partition
    return (s.updatedReplicas or 0) < due and string.format("%d of %d pods are updated", s.updatedReplicas or 0, due) or nil
  end
  if s.updateRevision ~= s.currentRevision then
    return string.format("%d of %d pods are updated", s.updatedReplicas or 0, want)
  end
  return nil
end

local function daemonset_waits(o)
  local s = o.status or {}
  local want = s.desiredNumberScheduled or 0
  if (o.spec.updateStrategy or {}).type == "OnDelete" then return "its pods are updated by hand (OnDelete)" end
  if (s.updatedNumberScheduled or 0) < want then
    return string.format("%d of %d pods are updated", s.updatedNumberScheduled or 0, want)
  end
  if (s.numberAvailable or 0) < want then return string.format("%d of %d pods are available", s.numberAvailable or 0, want) end
  return nil
end

local waits = { deployment = deployment_waits, statefulset = statefulset_waits, daemonset = daemonset_waits }

local function rollout(a)
  local o = get(a)
  local progressing = condition(o, "Progressing")
  local why
  if (o.metadata.generation or 0) > (o.status and o.status.observedGeneration or 0) then
    why = "the change has not been seen yet"
  elseif progressing.reason == "ProgressDeadlineExceeded" then
    return { done = false, failed = true, why = client.clean(progressing.message or progressing.reason) }
  else
    why = waits[a.kind](o)
  end
  return { done = why == nil, failed = false, why = why or "" }
end

workloads.reads.state = {
  on = "workload", read = state,
  returns = { replicas = "integer >= 0", ready = "integer >= 0", available = "integer >= 0", updated = "integer >= 0",
    generation = "integer", observed_generation = "integer", paused = "boolean", image = "string" },
}
workloads.reads.replicas = { on = "workload", returns = "integer >= 0", read = function(a) return (counts(get(a), a)) end }
workloads.reads.revision_age = {
  on = "workload", returns = "number", unit = "s", read = function(a) return releases.age(get(a), a) end,
}
workloads.reads.history = {
  on = "workload", options = { at_most = "integer? > 0" },
  read = function(a) return releases.history(get(a), a, a.at_most or 100) end,
  returns = { list = { revision = "integer", name = "string", created = "string", image = "string", cause = "string?" } },
}
workloads.reads.rollout = {
  on = "workload", read = rollout, returns = { done = "boolean", failed = "boolean", why = "string" },
}

--- Refuses where a HorizontalPodAutoscaler owns the replicas: it would undo the change in seconds.
local function refuse_autoscaled(_, a)
  local fields = { name = "metadata.name", kind = "spec.scaleTargetRef.kind", target = "spec.scaleTargetRef.name" }
  local path = client.path { group = "autoscaling", version = "v2", plural = "horizontalpodautoscalers", namespace = a.namespace }
  client.list(path, fields, { at_most = 10000, if_there = true }, function(hpa)
    if string.lower(hpa.kind or "") == a.kind and hpa.target == a.name then
      refused("the autoscaler '" .. client.clean(hpa.name) .. "' owns its replicas; change the autoscaler's bounds")
    end
  end)
end

local function identity(o, more)
  more.generation, more.uid = o.metadata.generation, o.metadata.uid
  return more
end

local function with_sub(sub)
  return function(a)
    local r = workloads.resource(a)
    r.sub = sub
    return r
  end
end

local TARGET = "{{kind}}/{{namespace}}/{{name}}"

workloads.effects.scale = writing.effect {
  on = { "deployment", "statefulset" }, args = { "replicas" }, params = { replicas = "integer >= 0" }, target = TARGET,
  resource = with_sub "scale", guard = refuse_autoscaled,
  fields = function(o) return identity(o, { replicas = o.spec.replicas or 1 }) end,
  want = function(a) return { replicas = a.replicas } end,
  build = function(o, _, to) return writing.merge(o, { spec = { replicas = to.replicas } }) end,
}

workloads.effects.rollback = writing.effect {
  on = "workload", target = TARGET, history = true, resource = workloads.resource,
  guard = function(o) if o.spec.paused then refused("the deployment is paused; resume it first") end end,
  fields = releases.fields, want = releases.want, build = releases.build, finds = releases.finds,
  content_type = function(a) return a.kind == "deployment" and JSON_PATCH or STRATEGIC end,
}

local function restarted(o)
  local notes = o.spec.template.metadata and o.spec.template.metadata.annotations or {}
  return notes[RESTARTED] or ""
end

-- Git does not state the annotation, so a restart is nobody's but ours.
workloads.effects.restart = writing.effect {
  on = "workload", target = TARGET, undo = "not needed", shared = true, resource = workloads.resource,
  finds = { restarted = "string", generation = "integer", uid = "string", managed_by = "string?" },
  guard = function(o) if o.spec.paused then refused("the deployment is paused; resume it first") end end,
  fields = function(o) return identity(o, { restarted = restarted(o) }) end,
  want = function(_, found) return { restarted = tostring(found.generation) } end,
  build = function(o, _, to)
    local notes = { [RESTARTED] = to.restarted, [RESTARTED_AT] = time.text(now()) }
    return writing.merge(o, { spec = { template = { metadata = { annotations = notes } } } })
  end,
}

-- The field of a spec that stops what the cluster does with it.
local stop_field = { deployment = "paused", cronjob = "suspend" }

local function stopping(on, stopped)
  return writing.effect {
    on = on, target = TARGET, resource = workloads.resource,
    fields = function(o, a) return identity(o, { [stop_field[a.kind]] = o.spec[stop_field[a.kind]] == true }) end,
    want = function(a) return { [stop_field[a.kind]] = stopped } end,
    build = function(o, a, to) return writing.merge(o, { spec = { [stop_field[a.kind]] = to[stop_field[a.kind]] } }) end,
  }
end

workloads.effects.pause = stopping("deployment", true)
workloads.effects.suspend = stopping("cronjob", true)
workloads.effects.resume = stopping({ "deployment", "cronjob" }, false)

local function container_of(o, name)
  local names = {}
  for i, c in ipairs(o.spec.template.spec.containers or {}) do
    if c.name == name then return c end
    names[i] = c.name
  end
  refused(string.format("there is no container '%s' (there is: %s)", client.clean(name), client.clean(table.concat(names, ", "))))
end

workloads.effects.set_image = writing.effect {
  on = "workload", args = { "container", "image" }, params = { container = "string", image = "string" }, target = TARGET,
  resource = workloads.resource, content_type = STRATEGIC,
  fields = function(o, a) return identity(o, { image = container_of(o, a.container).image or "" }) end,
  want = function(a) return { image = a.image } end,
  build = function(o, a, to)
    return writing.merge(o, { spec = { template = { spec = {
      containers = json.array { { name = a.container, image = to.image } } } } } })
  end,
}

return workloads
