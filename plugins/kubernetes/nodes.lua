-- SPDX-License-Identifier: Apache-2.0
-- Nodes: their conditions, cordon and drain.

local client = require "client"
local pods = require "pods"
local time = require "time"
local writing = require "writing"

local STRATEGIC = "application/strategic-merge-patch+json"
local DRAIN_S, DRAIN_FOR_S, DRAIN_EVERY_S = 900, 840, 5
local PODS_MAX = 1000

local nodes = { reads = {}, effects = {} }

local fields = {
  name = "metadata.name", created = "metadata.creationTimestamp", cordoned = "spec.unschedulable",
  conditions = "status.conditions[]", version = "status.nodeInfo.kubeletVersion", cpu = "status.allocatable.cpu",
  memory = "status.allocatable.memory", pods = "status.allocatable.pods",
}
local returns = {
  name = "string", ready = "boolean", cordoned = "boolean", trouble = "string", version = "string", cpu = "number?",
  memory = "number?", pods = "integer?", age = "number",
}

local function resource(a) return { group = "", version = "v1", plural = "nodes", name = a and a.name } end

-- A node whose kubelet is silent has Ready "Unknown": that is not ready, and is named as trouble.
local function record(row)
  local ready, trouble = false, {}
  for _, c in ipairs(row.conditions or {}) do
    if c.type == "Ready" then
      ready = c.status == "True"
      if not ready then trouble[#trouble + 1] = c.reason or "NotReady" end
    elseif c.status == "True" then
      trouble[#trouble + 1] = c.type
    end
  end
  return {
    name = row.name, ready = ready, cordoned = row.cordoned == true, trouble = table.concat(trouble, ", "),
    version = row.version or "", cpu = row.cpu and time.quantity(row.cpu), memory = row.memory and time.quantity(row.memory),
    pods = row.pods and time.quantity(row.pods), age = time.since(row.created),
  }
end

nodes.reads.nodes = {
  options = { selector = "string?", at_most = "integer? > 0" }, returns = { list = returns },
  read = function(a) return client.list(client.path(resource()), fields, a, record) end,
}
nodes.reads.node_state = {
  on = "node", called = "state", returns = returns,
  read = function(a)
    local found
    client.list(client.path(resource()), fields, { fields = "metadata.name=" .. a.name }, function(row) found = record(row) end)
    return found or unknown("no_data", "there is no node " .. a.name)
  end,
}

local function cordoning(cordoned)
  return writing.effect {
    on = "node", target = "node/{{name}}", shared = true, resource = resource, content_type = STRATEGIC,
    fields = function(o) return { cordoned = o.spec.unschedulable == true, uid = o.metadata.uid } end,
    want = function() return { cordoned = cordoned } end,
    build = function(o, _, to) return writing.merge(o, { spec = { unschedulable = to.cordoned } }) end,
  }
end

nodes.effects.cordon = cordoning(true)
nodes.effects.uncordon = cordoning(false)

-- drain

local pod_fields = {
  name = "metadata.name", namespace = "metadata.namespace", uid = "metadata.uid", deleted = "metadata.deletionTimestamp",
  mirror = 'metadata.annotations["kubernetes.io/config.mirror"]', owners = "metadata.ownerReferences[]", phase = "status.phase",
  empty = "spec.volumes[].emptyDir",
}

local function controller(row)
  for _, o in ipairs(row.owners or {}) do
    if o.controller == true then return o.kind end
  end
  return nil
end

-- kubectl's filters in their order: the pods to evict, and what forbids to begin.
local function to_evict(a)
  local path, q = pods.of { kind = "node", name = a.name, at_most = PODS_MAX }
  local list, obstacles = {}, {}
  client.list(path, pod_fields, q, function(row)
    local over, kind = row.phase == "Succeeded" or row.phase == "Failed", controller(row)
    if row.mirror or kind == "DaemonSet" and not over then return end
    if row.deleted then
      list[#list + 1] = row
      return
    end
    local name = row.namespace .. "/" .. row.name
    if #(row.empty or {}) > 0 and not over and not a.emptydir then
      obstacles[#obstacles + 1] = name .. " has local data (emptyDir)"
    elseif not kind and not over then
      obstacles[#obstacles + 1] = name .. " has no controller"
    end
    list[#list + 1] = row
  end)
  return list, obstacles
end

local function refuse_obstacles(obstacles)
  if #obstacles > 0 then
    refused(client.clean(table.concat(obstacles, "; ")) .. " (emptydir = true deletes local data; a pod without controller "
      .. "must be ended by hand)")
  end
end

local function drain_state(a)
  client.access("patch", resource(a))
  client.access("create", { group = "", plural = "pods", sub = "eviction" })
  local o = client.get(client.path(resource(a)))
  local list, obstacles = to_evict(a)
  refuse_obstacles(obstacles)
  local cordoned = o.spec.unschedulable == true
  return { cordoned = cordoned, drained = cordoned and #list == 0, uid = o.metadata.uid }
end

-- One round of evictions; how many pods are still there and what holds the last one that was refused.
local function round(a)
  local list, held = to_evict(a), nil
  for _, row in ipairs(list) do
    if not row.deleted then
      local verdict, why = pods.evict_once({ namespace = row.namespace, name = row.name, grace = a.grace }, { uid = row.uid })
      if verdict == "blocked" then held = row.namespace .. "/" .. row.name .. ": " .. why end
    end
  end
  return #list, held
end

local function drain(a, from, to)
  if not to.cordoned then return nodes.effects.uncordon.apply(a, { uid = from.uid }, { cordoned = false }) end
  if not to.drained then refused "pods that were evicted do not come back by themselves" end
  refuse_obstacles(select(2, to_evict(a)))
  if not from.cordoned then nodes.effects.cordon.apply(a, { cordoned = false, uid = from.uid }, { cordoned = true }) end
  local deadline = now() + DRAIN_FOR_S
  while true do
    -- Behind the cordon a refusal is not the whole truth any more: what is there then is read back.
    local ok, left, held = try(round, a)
    if not ok then maybe("it is cordoned; " .. (type(left) == "table" and left.why or tostring(left))) end
    if left == 0 then return { drained = true } end
    if now() + DRAIN_EVERY_S > deadline then
      maybe(string.format("it is cordoned; %d pods are still there%s", left, held and " (" .. held .. ")" or ""))
    end
    pause(DRAIN_EVERY_S)
  end
end

nodes.effects.drain = {
  on = "node", class = "ensure", target = "node/{{name}}", timeout = DRAIN_S,
  options = { emptydir = "boolean?", grace = "duration?" },
  state = drain_state, want = function() return { cordoned = true, drained = true } end, apply = drain,
}

return nodes
