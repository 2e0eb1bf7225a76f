-- SPDX-License-Identifier: Apache-2.0
-- Prometheus and what speaks its query API (Thanos, Mimir, VictoriaMetrics). A number is a number
-- only if exactly one series answers with a finite value; everything else is an unknown observation.
--
--   metrics: { plugin: prometheus, url: "https://...", window: 5m, interval: 30s, auth: { kind: bearer, secret: NAME } }
--
-- `interval` is how often it scrapes (default 1m): after a change, queries without a range wait for two of them.

local web = host.module("web")

local SERIES_MAX, LIST_MAX, POINTS_MAX, STEPS = 1000, 1000, 20000, 200

local settings = {
  window = "duration", interval = "duration", method = "string", allow_warnings = "boolean",
}
for name, kind in pairs(web.settings) do settings[name] = kind end

--- A text as a PromQL string in double quotes.
local function quoted(value)
  local s = tostring(value)
  s = string.gsub(s, "\\", "\\\\")
  s = string.gsub(s, '"', '\\"')
  s = string.gsub(s, "\n", "\\n")
  return '"' .. string.gsub(s, "%c", function(c) return string.format("\\x%02x", string.byte(c)) end) .. '"'
end

local function duration(seconds)
  if seconds % 1 == 0 then return string.format("%ds", seconds) end
  return string.format("%dms", math.floor(seconds * 1000 + 0.5))
end

-- One of the given values, or a list of them, as a regular expression that matches them literally.
local function literally(value)
  local list, parts = type(value) == "table" and value or { value }, {}
  for i, v in ipairs(list) do parts[i] = string.gsub(tostring(v), "[%^%$%(%)%%%.%[%]%*%+%-%?{}|\\]", "\\%0") end
  if #parts == 0 then unknown("error", "an empty list matches nothing") end
  return quoted(table.concat(parts, "|"))
end

-- $1, $2 ... become quoted strings, $window the window. A value is never taken for a part of the query, nor
-- behind =~ for a pattern.
local function fill(a)
  return (string.gsub(a.query, "([=!]?~?%s*)%$(%w+)", function(operator, name)
    if name == "window" then return operator .. duration(a.window) end
    local value = a.values[math.tointeger(tonumber(name)) or 0]
    if value == nil then unknown("error", "the query names $" .. name .. ", which is not given") end
    if string.find(operator, "~", 1, true) then return operator .. literally(value) end
    if type(value) == "table" then unknown("error", "$" .. name .. " is a list; it goes behind =~ or !~") end
    return operator .. quoted(value)
  end))
end

local function matchers(labels)
  local parts = {}
  for name, value in pairs(labels or {}) do
    if not string.find(name, "^[%a_][%w_]*$") then unknown("error", "'" .. web.short(name) .. "' is no label name") end
    parts[#parts + 1] = name .. "=" .. quoted(value)
  end
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

local function metric_name(name)
  if not string.find(name, "^[%a_:][%w_:]*$") then unknown("error", "'" .. web.short(name) .. "' is no metric") end
  return name
end

--- The data of an API answer, or an unknown observation. Warnings mean that a part of the truth is missing.
local function api(path, form, post)
  local post_it, text = post and instance.settings.method ~= "GET", web.form(form)
  local answer = web.read {
    path = "/api/v1/" .. path, method = post_it and "POST" or "GET", query = not post_it and text or nil,
    body = post_it and text or nil, stores_nothing = true,
    headers = post_it and { ["Content-Type"] = "application/x-www-form-urlencoded" } or nil,
  }
  local body = web.json(answer)
  if body.status ~= "success" or answer.status ~= 200 then
    unknown("error", string.format("HTTP %d: %s", answer.status, web.short(body.error or body.status or "no reason given")))
  end
  if type(body.warnings) == "table" and #body.warnings > 0 and not instance.settings.allow_warnings then
    unknown("error", "the answer is partial: " .. web.short(body.warnings[1]))
  end
  if type(body.data) ~= "table" then unknown("error", "an answer without data") end
  return body.data
end

local function samples(data, kind)
  if data.resultType ~= kind or not host.is_array(data.result) then
    unknown("error", "the query gives a " .. web.short(data.resultType) .. ", not a " .. kind)
  end
  return data.result
end

-- The finite number of a sample [time, "text"]; or nil and why there is none.
local function number_of(sample)
  if type(sample) ~= "table" or type(sample[1]) ~= "number" then return nil, "a sample that is no [time, value]" end
  local text, value = string.lower(tostring(sample[2])), tonumber(sample[2])
  if string.find(text, "nan", 1, true) then return nil, "NaN" end
  if not value or string.find(text, "inf", 1, true) then return nil, "the value is " .. web.short(sample[2]) end
  return value + 0.0
end

--- Instant query: the series of its answer. What is older than max_age is not looked back for, where the server can.
local function instant(query)
  local data = api("query", { "query", query, "timeout", duration(web.seconds(instance.settings.timeout, 10)) }, true)
  if data.resultType == "scalar" then return { { metric = {}, value = data.result } } end
  return samples(data, "vector")
end

local function no_series(query)
  local compares = string.find(query, "[<>]=?%s*%-?[%d.]") and not string.find(query, "bool", 1, true)
  unknown("no_data", "no series: " .. web.short(query)
    .. (compares and " (it compares without bool, so this may also mean that the comparison does not hold)" or ""))
end

--- The one number of a query. The time that comes with it is when the query was evaluated.
local function number(query)
  local series = instant(query)
  if #series == 0 then no_series(query) end
  if #series > 1 then
    unknown("ambiguous", string.format("%d series: {%s}, {%s}, ...", #series,
      web.short(web.spell(web.labels(series[1].metric))), web.short(web.spell(web.labels(series[2].metric)))))
  end
  local sample = series[1].value
  if type(sample) ~= "table" then unknown("error", "a series without a number (a native histogram?)") end
  local value, why = number_of(sample)
  -- A default for what is absent must not stand for an infinity.
  if not value then unknown(why == "NaN" and "no_data" or "error", why) end
  return answer(value, { at = sample[1], source = query })
end

-- Series as records with names: the value of the label `by`, else all labels. Sorted, because the server does not.
local function named(series, a, record)
  local list, seen = {}, {}
  for i, s in ipairs(series) do
    local labels = web.labels(s.metric)
    local name = a.by and labels[a.by] or not a.by and web.spell(labels)
    if not name then unknown("error", "a series without the label '" .. a.by .. "': {" .. web.short(web.spell(labels)) .. "}") end
    if seen[name] then unknown("ambiguous", "two series for '" .. web.short(name) .. "'") end
    seen[name] = true
    list[i] = record(s)
    list[i].name, list[i].labels = name, labels
  end
  for _, name in ipairs(a.expect or {}) do
    if not seen[name] then list[#list + 1] = { name = tostring(name), labels = {}, why = "no series for it" } end
    seen[name] = true
  end
  web.sort(list, function(x, y) return x.name < y.name end)
  return web.bounded(list, a.at_most or SERIES_MAX, "series")
end

local function vector(a)
  if a.expect and not a.by then unknown("error", 'expect wants by = "label": what the names are the values of') end
  local query = fill(a)
  local series = instant(query)
  if #series == 0 and not a.expect then no_series(query) end
  local at
  local list = named(series, a, function(s)
    if type(s.value) ~= "table" then return { why = "a series without a number (a native histogram?)" } end
    local value, why = number_of(s.value)
    at = math.min(at or math.huge, tonumber(s.value[1]) or math.huge)
    return { value = value, why = why }
  end)
  return answer(list, { at = at ~= math.huge and at or nil, source = query })
end

-- What a series was over the time: a runbook seldom needs more than this, and the points draw it.
local function summary(s)
  local points, gaps, sum, min, max = {}, 0, 0.0, math.huge, -math.huge
  if type(s.values) ~= "table" then unknown("error", "a series without numbers (a native histogram?)") end
  for _, sample in ipairs(s.values) do
    local value = number_of(sample)
    if value then
      points[#points + 1] = { at = sample[1], value = value }
      sum, min, max = sum + value, math.min(min, value), math.max(max, value)
    else
      gaps = gaps + 1
    end
  end
  local n = #points
  if n == 0 then return { count = 0, gaps = gaps, points = json.array {}, why = "no number in the whole range" } end
  return { count = n, gaps = gaps, points = json.array(points), first = points[1].value, last = points[n].value, min = min,
    max = max, mean = sum / n }
end

local function range(a)
  local step = a.step or math.max(1, math.ceil(a.window / STEPS))
  local steps = a.window / step
  if steps > 11000 then unknown("error", string.format("%d steps, at most 11000: a longer step", math.floor(steps))) end
  local query, to = fill(a), now()
  local series = samples(api("query_range", { "query", query, "start", string.format("%.3f", to - a.window), "end",
    string.format("%.3f", to), "step", duration(step) }, true), "matrix")
  if #series == 0 then no_series(query) end
  if #series * steps > POINTS_MAX then
    unknown("error", string.format("%d series of %d steps, at most %d points: a longer step or fewer series", #series,
      math.floor(steps), POINTS_MAX))
  end
  local newest
  local list = named(series, a, function(s)
    local record = summary(s)
    if record.count > 0 then newest = math.max(newest or 0, record.points[record.count].at) end
    return record
  end)
  return answer(list, { at = newest, source = query })
end

local function series(a)
  local to, list = now(), {}
  for i, labels in ipairs(api("series", { "match[]", a.selector, "start", string.format("%.3f", to - a.window), "end",
    string.format("%.3f", to) }, true)) do
    labels = web.labels(labels)
    list[i] = { name = labels.__name__, labels = labels, spelt = web.spell(labels) }
  end
  web.sort(list, function(x, y) return (x.name or "") .. x.spelt < (y.name or "") .. y.spelt end)
  for _, s in ipairs(list) do s.spelt = nil end
  return web.bounded(list, a.at_most or LIST_MAX, "series")
end

local function by_name(list)
  web.sort(list, function(x, y) return x.sort < y.sort end)
  for _, x in ipairs(list) do x.sort = nil end
  return list
end

local function alerts(a)
  local list = {}
  for _, x in ipairs(web.field(api("alerts", {}), "alerts", "table") or unknown("error", "an answer without alerts")) do
    local labels = web.labels(x.labels)
    if web.has(labels, a.labels) then
      list[#list + 1] = {
        name = labels.alertname, state = web.field(x, "state", "string"), labels = labels,
        annotations = web.labels(x.annotations), value = number_of { 0, x.value }, since = web.timestamp(x.activeAt),
        sort = (labels.alertname or "") .. web.spell(labels),
      }
    end
  end
  return web.bounded(by_name(list), a.at_most or LIST_MAX, "alerts")
end

local function rules(a)
  local list = {}
  for _, group in ipairs(web.field(api("rules", {}), "groups", "table") or unknown("error", "an answer without groups")) do
    for i, x in ipairs(web.field(group, "rules", "table", {})) do
      if not a.name or x.name == a.name then
        local at = web.timestamp(x.lastEvaluation)
        list[#list + 1] = {
          name = web.field(x, "name", "string"), group = web.field(group, "name", "string"),
          kind = web.field(x, "type", "string"), query = web.field(x, "query", "string"),
          health = web.field(x, "health", "string"), state = web.field(x, "state", "string"),
          error = web.field(x, "lastError", "string"), at = at,
          labels = web.labels(x.labels), sort = string.format("%s\0%s\0%06d", x.name, group.name, i),
        }
      end
    end
  end
  return web.bounded(by_name(list), a.at_most or LIST_MAX, "rules")
end

local function targets(a)
  local list = {}
  for _, x in ipairs(web.field(api("targets", { "state", "active" }), "activeTargets", "table")
    or unknown("error", "an answer without targets")) do
    local labels = web.labels(x.labels)
    if web.has(labels, a.labels) then
      local job, name = labels.job or web.field(x, "scrapePool", "string", ""), labels.instance or ""
      list[#list + 1] = {
        job = job, name = name, health = web.field(x, "health", "string"), error = web.field(x, "lastError", "string"),
        at = web.timestamp(x.lastScrape), took = web.field(x, "lastScrapeDuration", "number"), labels = labels,
        sort = job .. "\0" .. name,
      }
    end
  end
  return web.bounded(by_name(list), a.at_most or LIST_MAX, "targets")
end

local function metadata(a)
  local list = {}
  local data = api("metadata", a.metric and { "metric", metric_name(a.metric) } or { "limit", tostring(LIST_MAX + 1) })
  for name, entries in pairs(data) do
    for _, x in ipairs(type(entries) == "table" and entries or {}) do
      list[#list + 1] = { name = name, kind = web.field(x, "type", "string"), help = web.field(x, "help", "string"),
        unit = web.field(x, "unit", "string"), sort = name .. "\0" .. tostring(web.field(x, "type", "string")) }
    end
  end
  return web.bounded(by_name(list), a.at_most or LIST_MAX, "metrics")
end

local at_most = "integer? >= 1"
local query = { args = { "query" }, params = { query = "string" }, rest = "values", window = true, window_in = "query",
  max_age = 60 }

local function with(common, more)
  for key, value in pairs(common) do
    if more[key] == nil then more[key] = value end
  end
  return more
end

local says = {
  value = "the one number that a query gives; several series are ambiguous, none is no_data",
  vector = "the series that a query gives now, at most 100", range = "series over the window, in points of one step",
  quantile = "a quantile of a histogram over the window, in seconds: 0.95 is the p95",
  age = "seconds since the newest sample of a metric",
  series = "which series there are", alerts = "the alerts that fire or are pending here",
  rules = "the alerting and recording rules",
  targets = "what is scraped, and whether it answers", metadata = "what the metrics are, as their exporters say",
}

local means = {
  query = "PromQL; $1, $2 are the arguments behind it, as strings", metric = "name of a metric", labels = "labels, name = value",
  q = "0 to 1", at_most = "more than this is an error", by = "the label that names the series",
  expect = "names that must be there: a missing one is unknown",
  step = "seconds between two points", name = "its name", value = "the number, in the unit of the query",
  points = "{ at, value } each",
  first = "the oldest value", last = "the newest value", min = "the smallest value", max = "the largest value",
  mean = "the mean value",
  count = "how many points", gaps = "how many points are missing", annotations = "its texts, as summary", since = "Unix seconds",
  state = "whether it fires", kind = "counter, gauge, histogram; of a rule: alerting or recording", unit = "as its exporter says",
  help = "as its exporter says", at = "Unix seconds of the last look", error = "why the last look failed",
  group = "its group of rules",
  health = "whether it answers", job = "its scrape job", took = "seconds that the last scrape took",
  ["series.name"] = "name of the metric", ["metadata.metric"] = "of one metric only", ["rules.health"] = "ok, or err",
}

return plugin "prometheus" {
  settings = settings, says = says, means = means,
  configure = function(it)
    web.check(it.settings)
    local method = it.settings.method
    if method and method ~= "GET" and method ~= "POST" then refused("method: GET or POST") end
  end,
  probe = function()
    local build = api("status/buildinfo", {})
    number("vector(1)")
    return "answers queries, release " .. web.short(web.field(build, "version", "string", "unknown"))
  end,
  reads = {
    -- value('avg(busy{service=$1})', params.service): $1, $2 ... become quoted strings, $window the window.
    value = with(query, { returns = "number", read = function(a) return number(fill(a)) end }),
    -- vector('up{job=$1}', "api", { by = "pod", expect = names }): a record per series; one that is missing or has no
    -- number is there, and its value is unknown.
    vector = with(query, {
      options = { by = "string?", expect = "list?", at_most = at_most }, known = { "value" }, read = vector,
      returns = { list = { name = "string", value = "number?", labels = "map" } },
    }),
    -- range('rate(x[5m])', { window = "1h" }): per series what it was, and its points.
    range = with(query, {
      options = { by = "string?", step = "duration?", at_most = at_most }, window = "1h", window_in = false, read = range,
      known = { "first", "last", "min", "max", "mean" },
      returns = { list = { name = "string", labels = "map", count = "integer", gaps = "integer", first = "number?",
        last = "number?", min = "number?", max = "number?", mean = "number?", points = "list" } },
    }),
    -- quantile(0.95, "http_request_duration_seconds", { service = "api" }) of a histogram over the window.
    quantile = {
      args = { "q", "metric", "labels" }, params = { q = "number", metric = "string", labels = "labels?" },
      returns = "number", max_age = 60, window = true, unit = "s",
      read = function(a)
        if a.q < 0 or a.q > 1 then unknown("error", "a quantile is between 0 and 1") end
        return number(string.format("histogram_quantile(%s, sum by (le) (rate(%s_bucket%s[%s])))", tostring(a.q),
          metric_name(a.metric), matchers(a.labels), duration(a.window)))
      end,
    },
    -- age("up", { job = "api" }): seconds since the newest sample; says whether a value is alive.
    age = {
      args = { "metric", "labels" }, params = { metric = "string", labels = "labels?" }, returns = "number", unit = "s",
      read = function(a)
        return number(string.format("time() - max(timestamp(%s%s))", metric_name(a.metric), matchers(a.labels)))
      end,
    },
    -- series("up", { job = "api" }): what series there were in the window.
    series = {
      args = { "metric", "labels" }, params = { metric = "string", labels = "labels?" }, window = true,
      options = { at_most = at_most }, returns = { list = { name = "string?", labels = "map" } },
      read = function(a)
        a.selector = metric_name(a.metric) .. matchers(a.labels)
        return series(a)
      end,
    },
    alerts = {
      args = { "labels" }, params = { labels = "labels?" }, options = { at_most = at_most }, read = alerts,
      known = { "value", "since" },
      returns = { list = { name = "string?", state = "firing|pending|inactive?", value = "number?", since = "number?",
        labels = "map", annotations = "map" } },
    },
    rules = {
      args = { "name" }, params = { name = "string?" }, options = { at_most = at_most },
      known = { "health", "at" },
      read = rules,
      returns = { list = { name = "string?", group = "string?", kind = "string?", query = "string?", health = "string?",
        state = "string?", error = "string?", at = "number?", labels = "map" } },
    },
    targets = {
      args = { "labels" }, params = { labels = "labels?" }, options = { at_most = at_most }, read = targets,
      known = { "health", "at", "took" },
      returns = { list = { job = "string", name = "string", health = "up|down|unknown?", error = "string?", at = "number?",
        took = "number?", labels = "map" } },
    },
    metadata = {
      args = { "metric" }, params = { metric = "string?" }, options = { at_most = at_most }, read = metadata,
      returns = { list = { name = "string", kind = "string?", help = "string?", unit = "string?" } },
    },
  },
}
