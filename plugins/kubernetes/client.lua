-- SPDX-License-Identifier: Apache-2.0
-- Requests to the API server: retries that are safe, errors as it tells them, pages of lists.

local credentials = require "credentials"

local MAX_BODY = 16 * 1024 * 1024
local PAGE = 250
local RELISTS = 3               -- a list whose continuation expired (410) begins anew
local RETRIES, RETRY_FOR_S = 10, 15
local ACCESS_FOR_S = 300

local client = {}

--- Text of somebody else on one line.
function client.clean(text)
  text = string.gsub(tostring(text), "%c", " ")
  return #text > 300 and string.sub(text, 1, 300) .. "..." or text
end

local clean = client.clean

function client.timeout()
  local n, unit = string.match(tostring(instance.settings.timeout or "10s"), "^(%d+)(m?[sm]?)$")
  return tonumber(n or 10) * (unit == "ms" and 0.001 or unit == "m" and 60 or 1)
end

function client.escape(text)
  return (string.gsub(tostring(text), "[^%w%-_.~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

local function status_of(answer)
  if not answer.body then return nil end
  local ok, status = try(json.decode, answer.body)
  return ok and type(status) == "table" and status.kind == "Status" and status or nil
end

--- What an answer that is no success says of itself; its causes name fields and budgets.
function client.reason(answer)
  if answer.unreadable then return string.format("HTTP %d: %s", answer.status, clean(answer.unreadable)) end
  local status = status_of(answer)
  if not status then return string.format("HTTP %d: %s", answer.status, clean(string.sub(answer.body or "", 1, 200))) end
  local causes = {}
  for _, cause in ipairs(type(status.details) == "table" and status.details.causes or {}) do
    local text = cause.message
    if text and not string.find(status.message or "", text, 1, true) then causes[#causes + 1] = text end
  end
  return string.format("HTTP %d %s: %s%s", answer.status, clean(status.reason or ""), clean(status.message or ""),
    #causes > 0 and " (" .. clean(table.concat(causes, "; ")) .. ")" or "")
end

--- True if a cause of the answer has this reason: "DisruptionBudget", "NamespaceTerminating".
function client.has_cause(answer, reason)
  local status = status_of(answer)
  for _, cause in ipairs(status and type(status.details) == "table" and status.details.causes or {}) do
    if cause.reason == reason then return true end
  end
  return false
end

local function once(method, path, o)
  local c = credentials.now()
  local headers = { Accept = o.accept or "application/json", ["Content-Type"] = o.content_type }
  for name, value in pairs(c.headers) do headers[name] = value end
  return http {
    method = method, url = c.server .. path, bearer = c.bearer, ca = c.ca, cert = c.cert, key = c.key,
    server_name = c.server_name, insecure = c.insecure, body = o.body, timeout = client.timeout(), max_body = MAX_BODY,
    stores_nothing = o.stores_nothing, headers = headers, pick = o.pick,
  }
end

--- One request. Asked again: after a 401 with a new credential, once (nothing was executed); a read also where the
-- server says when (Retry-After), and once after a connection that broke.
function client.request(method, path, o)
  o = o or {}
  local waited, renewed, broken = 0, false, false
  for _ = 1, RETRIES do
    local ok, answer = try(once, method, path, o)
    if not ok then
      if method ~= "GET" or broken or type(answer) ~= "table" or answer.kind ~= "maybe" then host.error(answer) end
      broken = true
    elseif answer.status == 401 and not renewed and credentials.renew() then
      renewed = true
    else
      local after = tonumber(answer.headers["retry-after"])
      local again = method == "GET" and after and (answer.status == 429 or answer.status >= 500)
      if not again or waited + after > RETRY_FOR_S then return answer end
      waited = waited + math.max(after, 0.1)
      pause(math.max(after, 0.1))
    end
  end
  unknown("error", "the API server asks to be asked again and again")
end

-- Why a read has no answer: an object that is not there is no data, a missing API or right an error.
local function no_answer(answer)
  local status = status_of(answer)
  local is_missing = answer.status == 404 and status and type(status.details) == "table" and status.details.name
  unknown(is_missing and "no_data" or "error", client.reason(answer))
end

--- The object at a path, without nulls and managedFields.
function client.get(path)
  local answer = client.request("GET", path, { pick = { object = true } })
  if answer.object then return answer.object end
  no_answer(answer)
end

--- The object, or nil if there is none (404).
function client.get_if_there(path)
  local answer = client.request("GET", path, { pick = { object = true } })
  if answer.object then return answer.object end
  if answer.status == 404 then return nil end
  no_answer(answer)
end

--- Lines of a text: {lines, matched, total}.
function client.lines(path, pick)
  local answer = client.request("GET", path, { accept = "text/plain, application/json", pick = { lines = pick } })
  if answer.lines then return answer.lines end
  local status = status_of(answer)
  local is_missing = answer.status == 404 or status and string.find(status.message or "", "previous terminated container")
  unknown(is_missing and "no_data" or "error", client.reason(answer))
end

local function one_list(path, query, fields, at_most, if_there, each)
  local n, continue = 0, ""
  local limit = math.min(PAGE, at_most + 1)
  repeat
    local answer = client.request("GET", string.format("%s?limit=%d%s%s", path, limit, query,
      continue ~= "" and "&continue=" .. client.escape(continue) or ""), { pick = { list = fields } })
    if answer.status == 410 and continue ~= "" then return nil end
    if answer.status == 404 and if_there then return true end
    if not answer.list then no_answer(answer) end
    n = n + #answer.list.rows
    if n > at_most then
      unknown("error", string.format("there are more than %d; narrow it (selector) or say at_most", at_most))
    end
    for _, row in ipairs(answer.list.rows) do each(row) end
    continue = answer.list.continue
  until continue == ""
  return true
end

--- Every row (see runner/plugin/pick.h) of a list goes to make(row); what that returns is collected. q: selector,
-- fields (a field selector), at_most, if_there: an API group that is missing (404) is an empty list.
function client.list(path, fields, q, make)
  local query = ""
  if q.selector and q.selector ~= "" then query = query .. "&labelSelector=" .. client.escape(q.selector) end
  if q.fields and q.fields ~= "" then query = query .. "&fieldSelector=" .. client.escape(q.fields) end
  for _ = 1, RELISTS do
    local out = {}
    local done = one_list(path, query, fields, q.at_most or 500, q.if_there, function(row)
      local made = make(row)
      if made ~= nil then out[#out + 1] = made end
    end)
    if done then return json.array(out) end
  end
  unknown("error", "the list changed faster than it could be read (its continuation expired)")
end

--- The path of a resource {group, version, plural, namespace, name}; group "" is the core.
function client.path(r)
  local parts = { r.group == "" and "/api" or "/apis/" .. client.escape(r.group), client.escape(r.version) }
  for _, word in ipairs { r.namespace or "", r.name or "" } do
    if word ~= "" and not string.find(word, "^[%w][%w.:-]*$") then
      unknown("error", "'" .. clean(word) .. "' is no name of a Kubernetes object")
    end
  end
  if r.namespace and r.namespace ~= "" then parts[#parts + 1] = "namespaces/" .. client.escape(r.namespace) end
  parts[#parts + 1] = client.escape(r.plural)
  if r.name then parts[#parts + 1] = client.escape(r.name) end
  return table.concat(parts, "/")
end

local allowed = {}              -- access key -> until when it is believed

--- Asks the API server whether we may: true, false and why, or nil where it cannot tell.
function client.may(verb, r)
  local ok, answer = try(client.request, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
    stores_nothing = true, content_type = "application/json", pick = { object = true },
    body = json.encode {
      apiVersion = "authorization.k8s.io/v1", kind = "SelfSubjectAccessReview",
      spec = { resourceAttributes = {
        verb = verb, group = r.group, resource = r.plural, subresource = r.sub, namespace = r.namespace, name = r.name,
      } },
    },
  })
  if not ok then return nil, type(answer) == "table" and answer.why or tostring(answer) end
  if answer.status ~= 201 and answer.status ~= 200 then return nil, client.reason(answer) end
  local status
  if answer.object then status = answer.object.status else
    local readable, object = try(json.decode, answer.body or "")
    status = readable and type(object) == "table" and object.status
  end
  if type(status) ~= "table" or status.evaluationError and not status.allowed then return nil, "the review says nothing" end
  return status.allowed == true, clean(status.reason or "no right to " .. verb .. " it")
end

--- Refuses if the API server says that we may not. Advisory: what it cannot tell is no refusal.
function client.access(verb, r)
  local key = table.concat({ verb, r.group, r.plural, r.sub or "", r.namespace or "", r.name or "" }, " ")
  if allowed[key] and allowed[key] > now() then return end
  local may, why = client.may(verb, r)
  if may == false then
    refused(string.format("the cluster does not allow %s %s%s%s: %s", verb, r.plural, r.sub and "/" .. r.sub or "",
      r.namespace and " in " .. r.namespace or "", why))
  end
  if may then allowed[key] = now() + ACCESS_FOR_S end
end

return client
