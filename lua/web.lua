-- SPDX-License-Identifier: Apache-2.0
-- What plugins that speak HTTP share: the settings of a server, its requests and its answers. The
-- credentials stay with the host: a body only says which of them to use.

local web = { sort = host.module("prelude").sort }

--- The settings every server has; a plugin adds its own.
web.settings = {
  url = "string", headers = "map", timeout = "duration", auth = "auth", bearer_file = "string", ca_file = "string",
  cert_file = "string", key_file = "string", server_name = "string", insecure = "boolean",
}

local TRIES = 3
local AGAIN = { [429] = true, [502] = true, [503] = true, [504] = true }

--- Somebody else's text as one short line.
function web.short(text)
  text = string.gsub(tostring(text), "%c", " ")
  return #text > 160 and string.sub(text, 1, 160) .. "..." or text
end

--- RFC 3986: what is not unreserved is written %XX.
function web.encode(text)
  return (string.gsub(tostring(text), "[^%w%-_.~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

--- { name, value, name, value, ... } as a query or form, in this order.
function web.form(pairs_of)
  local parts = {}
  for i = 1, #pairs_of, 2 do parts[#parts + 1] = web.encode(pairs_of[i]) .. "=" .. web.encode(pairs_of[i + 1]) end
  return table.concat(parts, "&")
end

--- Unix seconds of an RFC 3339 time; nil if it is none, and for Go's zero time.
function web.timestamp(text)
  local y, mo, d, h, mi, s, zone = string.match(tostring(text), "^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):(%d%d%.?%d*)(.*)$")
  local sign, zh, zm = string.match(zone or "", "^([+-])(%d%d):?(%d%d)$")
  if not y or not (sign or zone == "Z" or zone == "z") then return nil end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  if y < 1970 then return nil end
  if mo <= 2 then y, mo = y - 1, mo + 12 end
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (mo - 3) + 2) // 5 + d - 719469
  local offset = sign and (tonumber(zh) * 3600 + tonumber(zm) * 60) * (sign == "-" and -1 or 1) or 0
  return days * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s) - offset
end

--- A Unix time as RFC 3339 in UTC, with milliseconds.
function web.rfc3339(seconds)
  local ms = math.floor(seconds * 1000 + 0.5)
  local days, rest = ms // 86400000, ms % 86400000
  local z = days + 719468
  local era = z // 146097
  local doe = z - era * 146097
  local yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
  local doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
  local mp = (5 * doy + 2) // 153
  local month = mp < 10 and mp + 3 or mp - 9
  return string.format("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", yoe + era * 400 + (month <= 2 and 1 or 0), month,
    doy - (153 * mp + 2) // 5 + 1, rest // 3600000, rest // 60000 % 60, rest // 1000 % 60, rest % 1000)
end

--- Seconds of a setting such as 500ms, 10s, 5m.
function web.seconds(setting, absent)
  if type(setting) == "number" then return setting end
  local n, unit = string.match(tostring(setting or ""), "^(%d+)(m?[smh]?)$")
  local factor = { ms = 0.001, s = 1, m = 60, h = 3600, [""] = 1 }
  return n and factor[unit] and tonumber(n) * factor[unit] or absent
end

-- Values that came from files are read once for the life of the body.
local files = {}

local function from_file(setting)
  if not setting then return nil end
  files[setting] = files[setting] or file(setting)
  return files[setting]
end

local token         -- a handle for the text of bearer_file

local function auth_of(settings)
  if settings.auth or not settings.bearer_file then return settings.auth end
  token = token or secret((string.gsub(file(settings.bearer_file), "%s+$", "")))
  return { kind = "bearer", secret = token }
end

local AUTH = { basic = { "user" }, bearer = {}, header = { "header" }, hmac = { "header" },
  sigv4 = { "key_id", "region", "service" } }
local AUTH_KEYS = { "kind", "secret", "session", "user", "header", "prefix", "algorithm", "encoding", "message",
  "timestamp_header", "key_id", "region", "service" }

local function check_auth(auth)
  for _, key in ipairs(AUTH[auth.kind]) do
    if type(auth[key]) ~= "string" then refused(string.format("auth: %s wants %s", auth.kind, key)) end
  end
  for key in pairs(auth) do
    local near = host.nearest(tostring(key), AUTH_KEYS)
    if near ~= key then
      refused(string.format("auth: unknown key '%s'%s", tostring(key), near and " (did you mean '" .. near .. "'?)" or ""))
    end
  end
end

--- What of the settings can be wrong without asking anybody: the URL, and what the kind of auth wants.
function web.check(settings)
  if instance.described then return end
  if not settings.url then refused("url is missing") end
  if not string.find(settings.url, "^https?://[^/?#@%s]+[^?#%s]*$") then
    refused("url: '" .. web.short(settings.url) .. "' is not http(s)://host[:port][/path]")
  end
  if settings.auth then check_auth(settings.auth) end
end

--- One request to the instance's server: { method, path, query, body, headers, max_body, stores_nothing, timeout }.
function web.request(o)
  local settings, headers = instance.settings, {}
  for name, value in pairs(settings.headers or {}) do headers[name] = tostring(value) end
  for name, value in pairs(o.headers or {}) do headers[name] = value end
  local url = string.gsub(settings.url or unknown("error", "the instance has no url"), "/+$", "") .. o.path
  if o.query and o.query ~= "" then url = url .. "?" .. o.query end
  return http {
    method = o.method or "GET", url = url, headers = headers, body = o.body, stores_nothing = o.stores_nothing,
    max_body = o.max_body or 4 * 1024 * 1024, timeout = o.timeout or web.seconds(settings.timeout, 10),
    auth = auth_of(settings), ca = from_file(settings.ca_file), cert = from_file(settings.cert_file),
    key = from_file(settings.key_file), server_name = settings.server_name, insecure = settings.insecure,
  }
end

--- The same for what changes nothing: a server that is busy is asked again.
function web.read(o)
  for n = 1, TRIES do
    local answer = web.request(o)
    if n == TRIES or not AGAIN[answer.status] then return answer end
    pause(math.min(tonumber(answer.headers["retry-after"]) or 0.3 * n, 3))
  end
end

--- The document of an answer, which must be a JSON object or list.
function web.json(answer)
  local ok, body = try(json.decode, answer.body)
  if not ok or type(body) ~= "table" then
    unknown("error", string.format("HTTP %d, and no JSON: %s", answer.status, web.short(answer.body)))
  end
  return body
end

--- A field of somebody else's table if it has the type, else the default.
function web.field(t, name, kind, absent)
  local v = type(t) == "table" and t[name] or nil
  if type(v) == kind then return v end
  return absent
end

--- A map of text to text, whatever came.
function web.labels(t)
  local out = {}
  if type(t) ~= "table" then return out end
  for k, v in pairs(t) do
    if type(k) == "string" and type(v) == "string" then out[k] = v end
  end
  return out
end

--- {a="x",b="y"} for messages and names, without the metric's own name.
function web.spell(labels)
  local parts = {}
  for name, value in pairs(labels) do
    if name ~= "__name__" then parts[#parts + 1] = name .. "=" .. value end
  end
  return table.concat(parts, ",")
end

--- True if every wanted label is there and equal.
function web.has(labels, wanted)
  for name, value in pairs(wanted or {}) do
    if (labels[name] or "") ~= tostring(value) then return false end
  end
  return true
end

--- A list for a runbook: bounded, else an error that says by how much.
function web.bounded(list, at_most, what)
  if #list > at_most then
    unknown("error", string.format("%d %s, more than the %d that at_most allows", #list, what, at_most))
  end
  return json.array(list)
end

return web
