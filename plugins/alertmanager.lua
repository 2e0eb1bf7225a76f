-- SPDX-License-Identifier: Apache-2.0
-- Prometheus Alertmanager (API v2): its alerts and silences, and a silence with an end.
--
--   alerts: { plugin: alertmanager, url: "https://...", max_silence: 24h, auth: { kind: basic, user: ops, secret: NAME } }
--
--   alertmanager.silence({ alertname = "HighLatency", service = "api" }, "2h", "rolling back")
--
-- A silence matches labels exactly, never by pattern, and has at least one. It is found again by its labels and
-- by who made it; the effect's key stands in its comment. Undo lets it expire.

local web = host.module("web")

local AUTHOR, LIST_MAX = "midwatch", 1000

local settings = { max_silence = "duration" }
for name, kind in pairs(web.settings) do settings[name] = kind end

local function longest() return web.seconds(instance.settings.max_silence, 86400) end

local function why(answer)
  local ok, text = try(json.decode, answer.body)
  return string.format("HTTP %d: %s", answer.status, web.short(ok and type(text) == "string" and text or answer.body))
end

local function get(path, query)
  local answer = web.read { path = "/api/v2/" .. path, query = query }
  if answer.status ~= 200 then unknown("error", why(answer)) end
  return web.json(answer)
end

-- The exact form of a matcher that the API takes: name="value".
local function filters(labels)
  local form = {}
  for name, value in pairs(labels or {}) do
    if not string.find(name, "^[%a_][%w_]*$") then unknown("error", "'" .. web.short(name) .. "' is no label name") end
    local text = string.gsub(tostring(value), '[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" })
    form[#form + 1], form[#form + 2] = "filter", name .. '="' .. text .. '"'
  end
  return form
end

local function names(list)
  local out = {}
  for _, x in ipairs(type(list) == "table" and list or {}) do
    if type(x) == "string" then out[#out + 1] = x end
  end
  return json.array(out)
end

-- An object here would look like a list with nothing in it.
local function get_list(path, query)
  local list = get(path, query)
  if not host.is_array(list) then unknown("error", "an object where a list of " .. path .. " was expected") end
  return list
end

local function alerts(a)
  local list = {}
  for i, x in ipairs(get_list("alerts", web.form(filters(a.labels)))) do
    local labels, status = web.labels(x.labels), web.field(x, "status", "table", {})
    if web.has(labels, a.labels) then
      list[#list + 1] = {
        name = labels.alertname, state = web.field(status, "state", "string"), labels = labels,
        annotations = web.labels(x.annotations), since = web.timestamp(x.startsAt), ends = web.timestamp(x.endsAt),
        fingerprint = web.field(x, "fingerprint", "string"), silenced_by = names(status.silencedBy),
        inhibited_by = names(status.inhibitedBy), sort = (labels.alertname or "") .. web.spell(labels) .. i,
      }
    end
  end
  web.sort(list, function(x, y) return x.sort < y.sort end)
  for _, x in ipairs(list) do x.sort = nil end
  return web.bounded(list, a.at_most or LIST_MAX, "alerts")
end

-- a=x,b=y of a silence if it matches by equality only, in the spelling of the effect's argument; else nil.
local function exact(silence)
  local parts = {}
  for _, m in ipairs(web.field(silence, "matchers", "table", {})) do
    if m.isRegex ~= false or m.isEqual == false then return nil end
    parts[#parts + 1] = tostring(m.name) .. "=" .. string.gsub(tostring(m.value), "[^%w._:-]", function(c)
      return string.format("%%%02X", string.byte(c))
    end)
  end
  web.sort(parts)
  return table.concat(parts, ",")
end

local function matchers_of(text)
  local list = {}
  for name, value in string.gmatch(text, "([^,=]+)=([^,]*)") do
    value = string.gsub(value, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    list[#list + 1] = { name = name, value = value, isRegex = false, isEqual = true }
  end
  return list
end

local function spelt(silence)
  local parts = {}
  for _, m in ipairs(web.field(silence, "matchers", "table", {})) do
    local operator = (m.isEqual == false and "!" or "=") .. (m.isRegex == true and "~" or m.isEqual == false and "=" or "")
    parts[#parts + 1] = string.format('%s%s"%s"', tostring(m.name), operator, tostring(m.value))
  end
  web.sort(parts)
  return table.concat(parts, ",")
end

local function silences(a)
  local list = {}
  for _, x in ipairs(get_list("silences", web.form(filters(a.labels)))) do
    local state = web.field(web.field(x, "status", "table"), "state", "string")
    if state and (state ~= "expired" or a.expired) then
      list[#list + 1] = {
        id = web.field(x, "id", "string"), state = state, matchers = spelt(x), comment = web.field(x, "comment", "string"),
        author = web.field(x, "createdBy", "string"), since = web.timestamp(x.startsAt), ends = web.timestamp(x.endsAt),
      }
    end
  end
  web.sort(list, function(x, y)
    return (x.since or 0) < (y.since or 0) or x.since == y.since and tostring(x.id) < tostring(y.id)
  end)
  return web.bounded(list, a.at_most or LIST_MAX, "silences")
end

-- Our silence of exactly these labels that still holds: the one that ends last.
local function ours(a)
  local best, best_end
  for _, x in ipairs(get_list("silences", web.form(filters(nil)))) do
    local state = web.field(web.field(x, "status", "table"), "state", "string")
    if (state == "active" or state == "pending") and x.createdBy == AUTHOR and exact(x) == a.matchers then
      local ends = web.timestamp(x.endsAt) or 0
      if not best or ends > best_end then best, best_end = x, ends end
    end
  end
  return best
end

local function state(a)
  local silence = ours(a)
  return { silenced = silence ~= nil, id = silence and web.field(silence, "id", "string", "") or "" }
end

-- What an answer to a change means: done, refused, or nobody knows.
local function settle(answer)
  local code = answer.status
  if code >= 200 and code < 300 then return end
  if code >= 500 or code == 408 or code < 400 then maybe(why(answer)) end
  refused(why(answer))
end

local function create(a, key)
  local from = now()
  local answer = web.request {
    method = "POST", path = "/api/v2/silences", headers = { ["Content-Type"] = "application/json" },
    body = json.encode {
      matchers = json.array(matchers_of(a.matchers)), startsAt = web.rfc3339(from), endsAt = web.rfc3339(from + a.duration),
      createdBy = AUTHOR, comment = a.comment .. " [midwatch:" .. key .. "]",
    },
  }
  settle(answer)
  local id = web.field(web.json(answer), "silenceID", "string")
  return { id = id or maybe("an answer without a silenceID"), ends = web.rfc3339(from + a.duration) }
end

local function apply(a, from, to, key)
  local found = state(a)
  if to.silenced then
    if found.silenced then moved("somebody made such a silence meanwhile: " .. web.short(found.id)) end
    return create(a, key)
  end
  if found.id ~= from.id then moved("the silence is another one now: " .. web.short(found.id)) end
  settle(web.request { method = "DELETE", path = "/api/v2/silence/" .. web.encode(found.id) })
  return { id = found.id }
end

local function want(a)
  if a.duration < 1 then refused("a silence of less than a second") end
  if a.duration > longest() then
    refused(string.format("a silence of %.0f s; this instance allows at most %.0f s (max_silence)", a.duration, longest()))
  end
  if #a.comment > 500 or string.find(a.comment, "%c") then refused("the comment is too long, or holds a control character") end
  for _, m in ipairs(matchers_of(a.matchers)) do
    if not string.find(m.name, "^[%a_][%w_]*$") then refused("'" .. web.short(m.name) .. "' is no label name") end
    if m.value == "" then refused(m.name .. ": an empty value would match what lacks the label") end
  end
  return { silenced = true }
end

local says = {
  alerts = "the alerts that are there, also silenced ones", silences = "who silenced what, until when",
  silence = "keeps alerts with exactly these labels quiet for a while; undo ends it",
}

local means = {
  labels = "labels, name = value", at_most = "more than this is an error", expired = "also silences that are over",
  matchers = "labels that an alert must have, name = value", duration = "how long, as \"2h\"", comment = "why, for others",
  annotations = "its texts, as summary", ends = "Unix seconds", since = "Unix seconds", fingerprint = "its identity",
  inhibited_by = "fingerprints of the alerts that keep it quiet", silenced_by = "ids of silences", name = "alertname",
  state = "whether it reaches people", author = "who made it", id = "its identity",
  ["silences.state"] = "whether it is in force", ["silences.matchers"] = "labels that it silences, as one text",
}

return plugin "alertmanager" {
  settings = settings, says = says, means = means,
  configure = function(it) web.check(it.settings) end,
  probe = function()
    local status = get("status", nil)
    return "release " .. web.short(web.field(web.field(status, "versionInfo", "table"), "version", "string", "unknown"))
      .. ", cluster " .. web.short(web.field(web.field(status, "cluster", "table"), "status", "string", "unknown"))
  end,
  reads = {
    alerts = {
      args = { "labels" }, params = { labels = "labels?" }, options = { at_most = "integer? >= 1" }, read = alerts,
      known = { "state", "since" },
      returns = { list = { name = "string?", state = "active|suppressed|unprocessed?", since = "number?", ends = "number?",
        labels = "map", annotations = "map", fingerprint = "string?", silenced_by = "list", inhibited_by = "list" } },
    },
    silences = {
      args = { "labels" }, params = { labels = "labels?" }, options = { at_most = "integer? >= 1", expired = "boolean?" },
      read = silences, known = { "state", "ends" },
      returns = { list = { id = "string?", state = "active|pending|expired?", matchers = "string", comment = "string?",
        author = "string?", since = "number?", ends = "number?" } },
    },
  },
  effects = {
    silence = {
      args = { "matchers", "duration", "comment" }, class = "ensure", target = "silence/{{matchers}}",
      params = { matchers = "matchers", duration = "duration", comment = "string" }, state = state, want = want, apply = apply,
    },
  },
}
