-- SPDX-License-Identifier: Apache-2.0
-- Pods: what they wait for, their logs, and the ways to end them.

local client = require "client"
local time = require "time"
local workloads = require "workloads"

local LINES, LINES_MAX, LOG_BYTES, TEXT_BYTES = 1000, 10000, 8 * 1024 * 1024, 256 * 1024
local EVICT_FOR_S, EVICT_EVERY_S = 100, 5      -- kubectl's pause between evictions that a budget refuses

local pods = { reads = {}, effects = {} }

local containers = "status.containerStatuses[]."
local fields = {
  name = "metadata.name", namespace = "metadata.namespace", created = "metadata.creationTimestamp",
  deleted = "metadata.deletionTimestamp", owners = "metadata.ownerReferences[]", node = "spec.nodeName", phase = "status.phase",
  reason = "status.reason", message = "status.message", ready = "status.conditions[type=Ready].status",
  scheduled = "status.conditions[type=PodScheduled]", restarts = containers .. "restartCount",
  init = "status.initContainerStatuses[].state.waiting", waiting = containers .. "state.waiting",
  ended = containers .. "state.terminated", last = containers .. "lastState.terminated",
}

local function sum(list)
  local n = 0
  for _, v in ipairs(list or {}) do n = n + v end
  return n
end

-- What the pod waits for: an init container, a container, or a node.
local function waits_for(row)
  local waiting = (row.init or {})[1] or (row.waiting or {})[1]
  if waiting then return waiting.reason or "", waiting.message or "" end
  local scheduled = row.scheduled or {}
  if row.phase == "Pending" and scheduled.status == "False" then return scheduled.reason or "", scheduled.message or "" end
  return row.reason or "", row.message or ""
end

-- The end that says most: one that failed, of this run of a container or of the one before.
local function ended(row)
  local found
  for _, list in ipairs { row.ended or {}, row.last or {} } do
    for _, e in ipairs(list) do
      if not found or (found.exitCode or 0) == 0 then found = e end
    end
  end
  return found or {}
end

local function record(row)
  local waiting, message = waits_for(row)
  local last, owner = ended(row), nil
  for _, o in ipairs(row.owners or {}) do
    if o.controller == true then owner = o end
  end
  return {
    name = row.name, namespace = row.namespace, node = row.node or "", phase = row.phase or "Unknown",
    ready = row.ready == "True",
    restarts = sum(row.restarts), waiting = waiting, message = message, terminated = last.reason or "", exit_code = last.exitCode,
    owner = owner and owner.kind .. "/" .. owner.name or "", age = time.since(row.created), deleting = row.deleted ~= nil,
  }
end

local returns = {
  name = "string", namespace = "string", node = "string", phase = "Pending|Running|Succeeded|Failed|Unknown",
  ready = "boolean", restarts = "integer", waiting = "string", message = "string", terminated = "string",
  exit_code = "integer?", owner = "string", age = "number", deleting = "boolean",
}

local function resource(a) return { group = "", version = "v1", plural = "pods", namespace = a.namespace, name = a.name } end

-- The pods of a thing, as a question to the API: where, and by which selector.
local function of(a)
  local q = { at_most = a.at_most, selector = a.selector, fields = a.field_selector }
  if a.kind == "node" then
    q.fields = "spec.nodeName=" .. a.name
    return client.path { group = "", version = "v1", plural = "pods" }, q
  end
  if a.kind == "namespace" then return client.path(resource { namespace = a.name }), q end
  local own = a.kind == "job" and "job-name=" .. a.name or workloads.selector(a)
  q.selector = own .. (a.selector and "," .. a.selector or "")
  return client.path(resource { namespace = a.namespace }), q
end

pods.of = of

pods.reads.pods = {
  on = { "workload", "job", "node", "namespace" }, options = { selector = "string?", at_most = "integer? > 0" },
  returns = { list = returns },
  read = function(a)
    local path, q = of(a)
    return client.list(path, fields, q, record)
  end,
}

local function one(a)
  local path, found = client.path(resource { namespace = a.namespace }), nil
  client.list(path, fields, { fields = "metadata.name=" .. a.name }, function(row) found = row end)
  return found
end

pods.reads.pod_state = {
  on = "pod", called = "state", returns = returns,
  read = function(a)
    local row = one(a)
    if not row then unknown("no_data", "there is no pod " .. a.namespace .. "/" .. a.name) end
    return record(row)
  end,
}

local log_options = {
  since = "duration?", lines = "integer? > 0", previous = "boolean?", container = "string?", match = "string?",
}

local function log(a, match, at_most)
  local lines = math.min(a.lines or LINES, LINES_MAX)
  local query = string.format("tailLines=%d&limitBytes=%d", lines, LOG_BYTES)
  if a.since then query = query .. "&sinceSeconds=" .. string.format("%d", math.max(1, math.ceil(a.since))) end
  if a.previous then query = query .. "&previous=true" end
  if a.container then query = query .. "&container=" .. client.escape(a.container) end
  local path = client.path(resource(a)) .. "/log?" .. query
  local found = client.lines(path, { match = match, at_most = at_most })
  -- The limit cuts the end off, and the end is what matters.
  if found.bytes >= LOG_BYTES then unknown("error", string.format("%d lines are more than 8 MiB; ask for fewer", lines)) end
  return found
end

pods.reads.logs = {
  on = "pod", options = log_options, returns = "string",
  read = function(a)
    local lines, bytes = log(a, a.match, LINES_MAX).lines, 0
    local first = #lines + 1
    while first > 1 and bytes + #lines[first - 1] < TEXT_BYTES do
      first = first - 1
      bytes = bytes + #lines[first] + 1
    end
    return table.concat(lines, "\n", first)
  end,
}

--- How many of the last lines match.
pods.reads.log_count = {
  on = "pod", args = { "match" }, params = { match = "string" }, returns = "integer",
  options = { since = "duration?", lines = "integer? > 0", previous = "boolean?", container = "string?" },
  read = function(a) return log(a, a.match, 1).matched end,
}

-- Ending a pod: its state is who it is; a pod that is gone or going has no uid.

local function is_as(row, wanted)
  if not wanted then return true end
  local r = record(row)
  if wanted == "not ready" then return not r.ready end
  return wanted == r.waiting or wanted == r.terminated or wanted == r.phase, r
end

local function ending_state(verb, sub)
  return function(a)
    client.access(verb, { group = "", plural = "pods", sub = sub, namespace = a.namespace, name = a.name })
    local object = client.get_if_there(client.path(resource(a)))
    if not object or object.metadata.deletionTimestamp then return { uid = "" } end
    local row = one(a)
    local fits, r = is_as(row or {}, a.only_if)
    if row and not fits then
      refused(string.format("it is %s, not %s", r.waiting ~= "" and r.waiting or r.phase, client.clean(a.only_if)))
    end
    local is_owned = false
    for _, o in ipairs(object.metadata.ownerReferences or {}) do is_owned = is_owned or o.controller == true end
    if not is_owned then refused "no controller owns the pod, so nothing would bring it back" end
    if (object.metadata.annotations or {})["kubernetes.io/config.mirror"] then refused "a mirror pod is ended on its node" end
    return { uid = object.metadata.uid }
  end
end

local function gone() return { uid = "" } end

-- A pod of a statefulset comes back under its name: then another uid is the proof.
local function check(a, from)
  local object = client.get_if_there(client.path(resource(a)))
  if not object or object.metadata.deletionTimestamp or object.metadata.uid ~= from.uid then return "applied" end
  return "absent"
end

local function grace(a) return a.grace and math.max(0, math.ceil(a.grace)) or nil end

local function delete(a, from, dry)
  local answer = client.request("DELETE", client.path(resource(a)) .. (dry and "?dryRun=All" or ""), {
    content_type = "application/json", stores_nothing = dry, body = json.encode {
      apiVersion = "v1", kind = "DeleteOptions", gracePeriodSeconds = grace(a), preconditions = { uid = from.uid },
      dryRun = dry and json.array { "All" } or nil,
    },
  })
  if answer.status == 409 then moved(client.reason(answer)) end
  return answer
end

local function evict(a, from, dry)
  return client.request("POST", client.path(resource(a)) .. "/eviction" .. (dry and "?dryRun=All" or ""), {
    content_type = "application/json", stores_nothing = dry, body = json.encode {
      apiVersion = "policy/v1", kind = "Eviction", metadata = { name = a.name, namespace = a.namespace },
      deleteOptions = {
        gracePeriodSeconds = grace(a), preconditions = from and { uid = from.uid }, dryRun = dry and json.array { "All" } or nil,
      },
    },
  })
end

--- One eviction: "gone", or "blocked" (a budget, pressure or a dying namespace: ask again later) and why; else refused.
function pods.evict_once(a, from, dry)
  local answer = evict(a, from, dry)
  local why = client.reason(answer)
  if answer.status >= 200 and answer.status < 300 or answer.status == 404 then return "gone" end
  if answer.status == 429 or answer.status == 403 and client.has_cause(answer, "NamespaceTerminating") then
    return "blocked", why, tonumber(answer.headers["retry-after"])
  end
  if answer.status == 409 then moved(why) end
  if answer.status >= 500 or answer.status < 400 then
    if dry then unknown("error", why) end
    maybe(why)
  end
  refused(why)
end

local function evict_until(a, from)
  local deadline = now() + EVICT_FOR_S
  while true do
    local verdict, why, after = pods.evict_once(a, from)
    if verdict == "gone" then return { evicted = true } end
    local wait = math.min(math.max(after or 0, EVICT_EVERY_S), 30)
    if now() + wait > deadline then refused(why) end
    pause(wait)
    local object = client.get_if_there(client.path(resource(a)))
    if not object or object.metadata.uid ~= from.uid then return { evicted = true } end
  end
end

local TARGET = "pod/{{namespace}}/{{name}}"
local ending_options = { only_if = "string?", grace = "duration?" }

pods.effects.delete = {
  on = "pod", class = "ensure", target = TARGET, undo = "not needed", options = ending_options,
  state = ending_state("delete"), want = gone, check = check,
  apply = function(a, from)
    local answer = delete(a, from)
    if answer.status == 404 or answer.status >= 200 and answer.status < 300 then return { status = answer.status } end
    if answer.status >= 500 or answer.status < 400 then maybe(client.reason(answer)) end
    refused(client.reason(answer))
  end,
  preflight = function(a, from)
    local answer = delete(a, from, true)
    if answer.status >= 300 and answer.status ~= 404 then refused(client.reason(answer)) end
  end,
}

pods.effects.evict = {
  on = "pod", class = "ensure", target = TARGET, undo = "not needed", options = ending_options, timeout = 120,
  state = ending_state("create", "eviction"), want = gone, check = check, apply = evict_until,
  preflight = function(a, from)
    local verdict, why = pods.evict_once(a, from, true)
    if verdict == "blocked" then refused(why) end
  end,
}

return pods
