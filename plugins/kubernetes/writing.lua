-- SPDX-License-Identifier: Apache-2.0
-- Effects that patch one object. Each carries the object's own precondition (resourceVersion), is made only
-- where nobody else owns the field, and names an absolute end state, so that nothing compounds on a retry.

local client = require "client"

local TRIES = 4
local MERGE = "application/merge-patch+json"

local writing = {}

local function same(x, y) return json.encode(x) == json.encode(y) end

local function still(found, from)
  for k, v in pairs(from) do
    if not same(found[k], v) then return false end
  end
  return true
end

local owner_marks = {
  { "labels", "argocd.argoproj.io/instance", "Argo CD" }, { "annotations", "argocd.argoproj.io/tracking-id", "Argo CD" },
  { "labels", "kustomize.toolkit.fluxcd.io/name", "Flux" }, { "labels", "helm.toolkit.fluxcd.io/name", "Flux" },
}

--- Who would put the object back: Argo CD, Flux or the controller of its owner; nil if nobody.
function writing.owner(object)
  for _, mark in ipairs(owner_marks) do
    local value = (object.metadata[mark[1]] or {})[mark[2]]
    if value then return string.format("%s (%s)", mark[3], client.clean(value)) end
  end
  for _, owner in ipairs(object.metadata.ownerReferences or {}) do
    if owner.controller == true then
      return string.format("the %s '%s'", client.clean(owner.kind), client.clean(owner.name))
    end
  end
  return nil
end

--- The Helm release of an object, or nil: Helm puts nothing back until its next upgrade, so it is told, not refused.
function writing.release(object)
  local name = (object.metadata.annotations or {})["meta.helm.sh/release-name"]
  local is_helms = (object.metadata.labels or {})["app.kubernetes.io/managed-by"] == "Helm"
  return name and is_helms and "Helm release " .. client.clean(name) or nil
end

local function refuse_owned(object)
  local owner = writing.owner(object)
  if owner and not instance.settings.write_owned then
    refused(owner .. " owns it and would undo the change; change it there, or say write_owned: true in the instance")
  end
end

-- Whether asking again makes sense: a conflict, pressure, or a failed precondition, which is a 422 like any other.
local function again(answer, path, object)
  if answer.status == 409 then
    local ok, status = try(json.decode, answer.body or "")
    return not (ok and type(status) == "table" and status.reason == "AlreadyExists")
  end
  return answer.status == 429
    or answer.status == 422 and client.get(path).metadata.resourceVersion ~= object.metadata.resourceVersion
end

-- Sends the change until it is accepted or refused for good. Dry: the server does everything but store it.
local function change(e, a, from, to, dry)
  local r = e.resource(a)
  local path = client.path(r)
  local content_type = e.content_type
  if type(content_type) == "function" then content_type = content_type(a) end
  local url = path .. (r.sub and "/" .. r.sub or "") .. "?fieldManager=midwatch" .. (dry and "&dryRun=All" or "")
  for n = 1, TRIES do
    local object = client.get(path)
    if not still(e.fields(object, a), from) then moved(path .. " was changed by somebody else") end
    local answer = client.request("PATCH", url, {
      body = json.encode(e.build(object, a, to)), content_type = content_type or MERGE, stores_nothing = dry,
    })
    if answer.status >= 200 and answer.status < 300 then return { status = answer.status, warning = answer.headers.warning } end
    if answer.status >= 500 or answer.status < 400 then
      if dry then unknown("error", client.reason(answer)) end
      maybe(client.reason(answer))
    end
    if n == TRIES or not again(answer, path, object) then refused(client.reason(answer)) end
    pause(math.min(tonumber(answer.headers["retry-after"]) or 0.2 * n, 10))
  end
end

--- Completes a declaration {resource(a), fields(object, a), build(object, a, to), guard(object, a), ...} to an effect:
-- `fields` is its state, `guard` refuses what must not be changed, `build` is the patch. `shared`: an owner is no obstacle.
function writing.effect(e)
  local resource, guard, fields = e.resource, e.guard, e.fields
  local functions = { resource = resource, build = e.build, content_type = e.content_type }
  function functions.fields(object, a)
    local state = fields(object, a)
    state.managed_by = writing.release(object)
    return state
  end
  e.class = "ensure"
  e.state = function(a)
    local r = resource(a)
    client.access("patch", r)
    local object = client.get(client.path(r))
    if not e.shared then refuse_owned(object) end
    if guard then guard(object, a) end
    return functions.fields(object, a)
  end
  e.apply = function(a, from, to) return change(functions, a, from, to) end
  e.preflight = function(a, from, to) return change(functions, a, from, to, true) end
  e.resource, e.fields, e.build, e.guard, e.content_type = nil, nil, nil, nil, nil
  return e
end

--- A merge patch with the object's precondition in it.
function writing.merge(object, patch)
  patch.metadata = patch.metadata or {}
  patch.metadata.resourceVersion = object.metadata.resourceVersion
  return patch
end

return writing
