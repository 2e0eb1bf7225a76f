-- SPDX-License-Identifier: Apache-2.0
-- Any object by its kind: reads with a field list, and writes of the fields that the operator declared
-- (patch: { configmaps: [data.level] } in the instance). An object of the cluster has the namespace "-".

local client = require "client"
local writing = require "writing"

-- Where a kind without a group is looked for, in this order.
local GROUPS = { "", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "storage.k8s.io", "coordination.k8s.io",
  "rbac.authorization.k8s.io", "discovery.k8s.io", "apiextensions.k8s.io" }

local objects = { reads = {}, effects = {} }

local groups = {}               -- group -> its preferred version and resources, or false

local function decoded(path)
  local answer = client.request("GET", path, { pick = { object = true } })
  if answer.object then return answer.object end
  if answer.status == 404 then return nil end
  unknown("error", client.reason(answer))
end

local function resources_of(group)
  if groups[group] ~= nil then return groups[group] end
  local version = "v1"
  if group ~= "" then
    local g = decoded("/apis/" .. client.escape(group))
    if not g then
      groups[group] = false
      return false
    end
    version = g.preferredVersion and g.preferredVersion.version or g.versions[1].version
  end
  local list = decoded((group == "" and "/api/" or "/apis/" .. client.escape(group) .. "/") .. client.escape(version))
  groups[group] = list and { version = version, list = list.resources or {} } or false
  return groups[group]
end

local function is_called(resource, word)
  if resource.name == word or resource.singularName == word or string.lower(resource.kind or "") == word then return true end
  for _, short in ipairs(resource.shortNames or {}) do
    if short == word then return true end
  end
  return false
end

local function find_in(group, word)
  local found = resources_of(group)
  for _, resource in ipairs(found and found.list or {}) do
    if not string.find(resource.name, "/", 1, true) and is_called(resource, word) then
      return { group = group, version = found.version, plural = resource.name, namespaced = resource.namespaced == true }
    end
  end
  return nil
end

--- The resource of a kind as kubectl takes it: "deployments", "deploy", "Deployment", "certificates.cert-manager.io".
function objects.kind(kind)
  local word, group = string.match(string.lower(kind), "^([^.]+)%.?(.*)$")
  if group and group ~= "" then
    return find_in(group, word) or unknown("error", "the cluster has no " .. client.clean(kind))
  end
  for _, g in ipairs(GROUPS) do
    local found = word and find_in(g, word)
    if found then return found end
  end
  unknown("error", "the cluster has no kind '" .. client.clean(kind) .. "' (of another group? write it as kind.group)")
end

local function resource(a)
  local r = objects.kind(a.object)
  r.namespace, r.name = r.namespaced and a.namespace or nil, a.name
  if r.namespaced and r.namespace == "-" then refused(a.object .. " lives in a namespace") end
  return r
end

objects.reads.objects = {
  args = { "object" }, params = { object = "string" },
  options = { namespace = "string?", selector = "string?", field_selector = "string?", at_most = "integer? > 0",
    fields = "labels" },
  returns = { list = "fields" },
  read = function(a)
    local r = objects.kind(a.object)
    r.namespace = r.namespaced and a.namespace or nil
    local q = { selector = a.selector, fields = a.field_selector, at_most = a.at_most }
    return client.list(client.path(r), a.fields, q, function(row) return row end)
  end,
}

-- One object through the list, so that the same fields are picked.
objects.reads.object_fields = {
  on = "object", called = "get", options = { fields = "labels" }, returns = "fields",
  read = function(a)
    local r = resource(a)
    r.name = nil
    local found
    client.list(client.path(r), a.fields, { fields = "metadata.name=" .. a.name }, function(row) found = row end)
    return found or unknown("no_data", string.format("there is no %s %s", a.object, a.name))
  end,
}

-- "spec.maxReplicas", 'metadata.annotations["a.b/c"]' as a list of keys.
local function keys_of(path)
  local keys, rest = {}, path
  while rest ~= "" do
    local key, after = string.match(rest, '^%["([^"]+)"%](.*)$')
    if not key then key, after = string.match(rest, "^([^.%[]+)(.*)$") end
    if not key then refused("'" .. client.clean(path) .. "' is no path to one field") end
    keys[#keys + 1] = key
    rest = string.gsub(after, "^%.", "")
  end
  return keys
end

local function value_at(object, keys)
  for _, key in ipairs(keys) do
    if type(object) ~= "table" then return json.null end
    object = object[key]
  end
  return object == nil and json.null or object
end

local function is_declared(r, path)
  local declared = instance.settings.patch or {}
  local list = declared[r.group == "" and r.plural or r.plural .. "." .. r.group] or declared[r.plural]
  for _, allowed in ipairs(type(list) == "table" and list or {}) do
    if allowed == path then return true end
  end
  return false
end

local scalar = { string = true, number = true, boolean = true }

objects.effects.set = writing.effect {
  on = "object", args = { "field", "value" }, params = { field = "string", value = "any" },
  target = "{{object}}/{{namespace}}/{{name}}",
  resource = function(a)
    local r = resource(a)
    if not scalar[type(a.value)] then refused "a field is set to a text, a number or true or false" end
    if not is_declared(r, a.field) then
      refused(string.format("the instance does not declare the field (patch: { %s: ['%s'] })", r.plural, client.clean(a.field)))
    end
    return r
  end,
  fields = function(o, a) return { value = value_at(o, keys_of(a.field)), uid = o.metadata.uid } end,
  want = function(a) return { value = a.value } end,
  build = function(o, a, to)
    local keys, patch = keys_of(a.field), {}
    local inner = patch
    for i = 1, #keys - 1 do
      inner[keys[i]] = {}
      inner = inner[keys[i]]
    end
    inner[keys[#keys]] = to.value
    return writing.merge(o, patch)
  end,
}

return objects
