-- SPDX-License-Identifier: Apache-2.0
-- Prometheus and what speaks its query API (Thanos, Mimir, VictoriaMetrics). A number is a number
-- only if exactly one series answers with a finite value; everything else is an unknown observation.
--
--   metrics: { plugin: prometheus, url: "http://...", window: 5m, bearer_file: ..., headers: {...}, timeout: 10s }

local MAX_BODY = 4 * 1024 * 1024

local function setting_seconds(value, absent)
  if type(value) == "number" then return value end
  local n, unit = string.match(tostring(value or ""), "^(%d+)(m?s)$")
  if not n then return absent end
  return unit == "ms" and tonumber(n) / 1000 or tonumber(n)
end

--- A text as the inside of a PromQL string in double quotes.
local function quoted(value)
  local s = tostring(value)
  s = string.gsub(s, "\\", "\\\\")
  s = string.gsub(s, '"', '\\"')
  s = string.gsub(s, "\n", "\\n")
  return '"' .. string.gsub(s, "%c", function(c) return string.format("\\x%02x", string.byte(c)) end) .. '"'
end

local function window_text(seconds)
  if seconds % 1 == 0 then return string.format("%ds", seconds) end
  return string.format("%dms", math.floor(seconds * 1000 + 0.5))
end

local function encode(text)
  return (string.gsub(text, "[^%w%-_.~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

local token

local function request(query)
  local settings = instance.settings
  local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  for name, value in pairs(settings.headers or {}) do headers[name] = tostring(value) end
  if settings.bearer_file and not token then
    token = secret((string.gsub(file(settings.bearer_file), "%s+$", "")))
  elseif settings.bearer and not token then
    token = secret(settings.bearer)
  end
  if not settings.url then unknown("error", "the instance has no url") end
  return http {
    method = "POST", url = (string.gsub(settings.url, "/+$", "")) .. "/api/v1/query", headers = headers, bearer = token,
    body = "query=" .. encode(query), stores_nothing = true, max_body = MAX_BODY,
    timeout = setting_seconds(settings.timeout, 10),
  }
end

local function short(text)
  text = string.gsub(tostring(text), "%c", " ")
  return #text > 120 and string.sub(text, 1, 120) .. "..." or text
end

--- The vector that a query answers, or an unknown observation.
local function vector(query)
  local answer = request(query)
  local ok, body = try(json.decode, answer.body)
  if not ok or type(body) ~= "table" then
    unknown("error", string.format("HTTP %d, and no JSON: %s", answer.status, short(answer.body)))
  end
  if body.status ~= "success" or answer.status ~= 200 then
    unknown("error", string.format("HTTP %d: %s", answer.status, short(body.error or body.status or "no reason given")))
  end
  if type(body.warnings) == "table" and #body.warnings > 0 and not instance.settings.allow_warnings then
    unknown("error", "the answer is partial: " .. short(body.warnings[1]))
  end
  local data = body.data
  if type(data) ~= "table" then unknown("error", "an answer without data") end
  if data.resultType == "scalar" then return { { metric = {}, value = data.result } } end
  if data.resultType ~= "vector" or type(data.result) ~= "table" then
    unknown("error", "the query gives a " .. short(data.resultType) .. ", not one number per series")
  end
  return data.result
end

local function labels_of(metric)
  local parts = {}
  for name, value in pairs(metric) do parts[#parts + 1] = name .. "=" .. short(value) end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The one number of a query. The time that comes with it is when the query was evaluated.
local function number(query)
  local series = vector(query)
  if #series == 0 then unknown("no_data", "no series: " .. short(query)) end
  if #series > 1 then
    unknown("ambiguous", string.format("%d series: %s, %s, ...", #series, labels_of(series[1].metric or {}),
      labels_of(series[2].metric or {})))
  end
  local sample = series[1].value
  if type(sample) ~= "table" then unknown("error", "a series without a value") end
  local value = tonumber(sample[2])
  local text = string.lower(tostring(sample[2]))
  if string.find(text, "nan", 1, true) then unknown("no_data", "NaN") end
  if not value or string.find(text, "inf", 1, true) then unknown("no_data", "the value is " .. short(sample[2])) end
  return answer(value + 0.0, { at = tonumber(sample[1]), source = query })
end

local function matchers(labels)
  local parts = {}
  for name, value in pairs(labels or {}) do
    if not string.find(name, "^[%a_][%w_]*$") then unknown("error", "'" .. short(name) .. "' is no label name") end
    parts[#parts + 1] = name .. "=" .. quoted(value)
  end
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

return plugin "prometheus" {
  settings = {
    url = "string", window = "duration", timeout = "duration", headers = "map", bearer = "string", bearer_file = "string",
    allow_warnings = "boolean",
  },
  reads = {
    -- value('avg(busy{service=$1})', params.service): $1, $2 ... become quoted strings, $window the window.
    value = {
      args = { "query" }, params = { query = "string" }, rest = "values", returns = "number", max_age = 60, window = true,
      read = function(a)
        local text = string.gsub(a.query, "%$(%w+)", function(name)
          if name == "window" then return window_text(a.window) end
          local n = tonumber(name)
          if not n or a.values[n] == nil then unknown("error", "the query names $" .. name .. ", which is not given") end
          return quoted(a.values[n])
        end)
        return number(text)
      end,
    },
    -- quantile(0.95, "http_request_duration_seconds", { service = "api" }) of a histogram over the window.
    quantile = {
      args = { "q", "metric", "labels" }, params = { q = "number", metric = "string", labels = "labels?" },
      returns = "number", max_age = 60, window = true, unit = "s",
      read = function(a)
        if a.q < 0 or a.q > 1 then unknown("error", "a quantile is between 0 and 1") end
        if not string.find(a.metric, "^[%a_:][%w_:]*$") then unknown("error", "'" .. short(a.metric) .. "' is no metric") end
        return number(string.format("histogram_quantile(%s, sum by (le) (rate(%s_bucket%s[%s])))", tostring(a.q), a.metric,
          matchers(a.labels), window_text(a.window)))
      end,
    },
  },
}
