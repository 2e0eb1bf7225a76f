-- SPDX-License-Identifier: Apache-2.0
-- Jobs and cron jobs. A failed job cannot be started again: its rerun is a copy under a name that follows from the job's
-- name and uid, so that it is found again by name, made once, and undone by deleting it.

local client = require "client"
local time = require "time"
local workloads = require "workloads"

local NAME_MAX, UID_PART = 63, 8
local RERUN_OF = "midwatch/rerun-of"            -- the uid of the job that a copy is of

local jobs = { reads = {}, effects = {} }

local function resource(a) return { group = "batch", version = "v1", plural = "jobs", namespace = a.namespace, name = a.name } end

local returns = { active = "integer", succeeded = "integer", failed = "integer", complete = "boolean", failure = "string",
  suspended = "boolean", age = "number" }

local function condition(o, kind)
  for _, c in ipairs((o.status or {}).conditions or {}) do
    if c.type == kind and c.status == "True" then return c end
  end
  return nil
end

local function record(o)
  local s, failed = o.status or {}, condition(o, "Failed")
  return {
    active = s.active or 0, succeeded = s.succeeded or 0, failed = s.failed or 0, complete = condition(o, "Complete") ~= nil,
    failure = failed and (failed.reason or "Failed") or "", suspended = (o.spec or {}).suspend == true,
    age = o.metadata.creationTimestamp and time.since(o.metadata.creationTimestamp) or nil,
  }
end

jobs.reads.job_state = {
  on = "job", called = "state", returns = returns, read = function(a) return record(client.get(client.path(resource(a)))) end,
}

-- The name of the copy of a job with this uid.
local function rerun_name(name, uid)
  local tail = "-rerun-" .. string.sub(string.gsub(uid, "[^%w]", ""), 1, UID_PART)
  return string.gsub(string.sub(name, 1, NAME_MAX - #tail), "[-.]+$", "") .. tail
end

-- The copy of a job, or nil; refuses one that is somebody else's.
local function copy_of(a, o)
  local name = rerun_name(a.name, o.metadata.uid)
  local copy = client.get_if_there(client.path(resource { namespace = a.namespace, name = name }))
  if not copy or copy.metadata.deletionTimestamp then return nil, name end
  if (copy.metadata.annotations or {})[RERUN_OF] ~= o.metadata.uid then
    refused("there is a job '" .. name .. "' already, and it is no rerun of this one")
  end
  return copy, name
end

--- The state of the copy that rerun() made, with its name; name "" while there is none.
jobs.reads.rerun_state = {
  on = "job",
  returns = { name = "string", active = "integer", succeeded = "integer", failed = "integer", complete = "boolean",
    failure = "string" },
  read = function(a)
    local copy, name = copy_of(a, client.get(client.path(resource(a))))
    local r = copy and record(copy) or record { metadata = {} }
    r.name, r.suspended, r.age = copy and name or "", nil, nil
    return r
  end,
}

local function state(a)
  client.access("create", resource { namespace = a.namespace })
  local o = client.get(client.path(resource(a)))
  if not condition(o, "Failed") then refused "the job has not failed" end
  if o.spec.manualSelector then refused "the job selects its pods itself (manualSelector), and a copy would share them" end
  local copy, name = copy_of(a, o)
  return { uid = o.metadata.uid, rerun = copy and name or "", rerun_uid = copy and copy.metadata.uid or "" }
end

-- What a controller, kubectl, Helm or GitOps wrote on the object is not true of a copy; GitOps would prune it.
local not_copied = { "batch.kubernetes.io/", "kubectl.kubernetes.io/", "meta.helm.sh/", "helm.sh/", "argocd.argoproj.io/",
  "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "controller-uid", "job-name", "app.kubernetes.io/instance",
  "app.kubernetes.io/managed-by" }
local not_in_template = { "batch.kubernetes.io/", "controller-uid", "job-name" }

local function without(map, starts)
  local out = {}
  for name, value in pairs(map or {}) do
    local keep = true
    for _, start in ipairs(starts) do keep = keep and string.sub(name, 1, #start) ~= start end
    if keep then out[name] = value end
  end
  return out
end

local function copied(o, a, name)
  local spec, annotations = o.spec, without(o.metadata.annotations, not_copied)
  annotations[RERUN_OF] = o.metadata.uid
  spec.selector, spec.suspend = nil, nil
  local meta = spec.template.metadata or {}
  meta.labels = without(meta.labels, not_in_template)
  spec.template.metadata = meta
  return {
    apiVersion = "batch/v1", kind = "Job", spec = spec,
    metadata = {
      name = name, namespace = a.namespace, labels = without(o.metadata.labels, not_copied), annotations = annotations,
    },
  }
end

-- What an answer to a change means; dry: nothing was stored.
local function settle(answer, dry)
  if answer.status >= 200 and answer.status < 300 then return { status = answer.status } end
  if answer.status >= 500 or answer.status < 400 then
    if dry then unknown("error", client.reason(answer)) end
    maybe(client.reason(answer))
  end
  refused(client.reason(answer))
end

local function create(a, from, to, dry)
  local o = client.get(client.path(resource(a)))
  if o.metadata.uid ~= from.uid then moved "it is another job now" end
  local answer = client.request("POST", client.path(resource { namespace = a.namespace })
    .. "?fieldManager=midwatch" .. (dry and "&dryRun=All" or ""), {
    content_type = "application/json", stores_nothing = dry, body = json.encode(copied(o, a, to.rerun)),
  })
  if answer.status == 409 then
    if copy_of(a, o) then return { status = answer.status } end
    moved(client.reason(answer))
  end
  return settle(answer, dry)
end

local function delete(a, from, dry)
  local answer = client.request("DELETE", client.path(resource { namespace = a.namespace, name = from.rerun })
    .. (dry and "?dryRun=All" or ""), {
    content_type = "application/json", stores_nothing = dry, body = json.encode {
      apiVersion = "v1", kind = "DeleteOptions", preconditions = { uid = from.rerun_uid }, propagationPolicy = "Background",
      dryRun = dry and json.array { "All" } or nil,
    },
  })
  if answer.status == 404 then return { status = answer.status } end
  if answer.status == 409 then moved(client.reason(answer)) end
  return settle(answer, dry)
end

local function change(a, from, to, dry)
  if to.rerun == "" then return delete(a, from, dry) end
  return create(a, from, to, dry)
end

jobs.effects.rerun = {
  on = "job", class = "ensure", target = "job/{{namespace}}/{{name}}", state = state,
  want = function(a, found) return { rerun = rerun_name(a.name, found.uid) } end,
  apply = function(a, from, to) return change(a, from, to, false) end,
  preflight = function(a, from, to) change(a, from, to, true) end,
}

jobs.reads.cronjob_state = {
  on = "cronjob", called = "state",
  returns = { suspended = "boolean", schedule = "string", active = "integer", scheduled_ago = "number?",
    succeeded_ago = "number?" },
  read = function(a)
    local o = client.get(client.path(workloads.resource(a)))
    local s = o.status or {}
    return {
      suspended = o.spec.suspend == true, schedule = o.spec.schedule or "", active = #(s.active or {}),
      scheduled_ago = s.lastScheduleTime and time.since(s.lastScheduleTime) or nil,
      succeeded_ago = s.lastSuccessfulTime and time.since(s.lastSuccessfulTime) or nil,
    }
  end,
}

return jobs
