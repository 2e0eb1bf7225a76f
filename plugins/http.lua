-- SPDX-License-Identifier: Apache-2.0
-- Requests that the operator declared, to one server. Each becomes a verb of the face: a read
-- (`billing.depth { queue = "jobs" }`) or an effect (`billing.drain { queue = "jobs" }`).
--
--   billing:
--     plugin: http
--     url: https://billing.example.net
--     auth: { kind: bearer, secret: NAME }          # or basic, header, hmac, sigv4: runner/plugin/auth.h
--     requests:
--       depth:  { path: "/queues/{{queue}}", params: { queue: { match: "[a-z]+" } }, read: { returns: integer, at: /messages } }
--       limit:  { path: "/queues/{{queue}}", params: {...}, read: { returns: integer, at: /limit } }
--       resize: { method: PUT, path: "/queues/{{queue}}", body: { limit: "{{n}}" }, params: { queue: {...}, n: {...} },
--                 effect: { class: ensure, target: "queue/{{queue}}", state: limit, sets: n } }
--
-- A parameter fills one segment of a path, one value of a query, one value of the body. Without `class` an effect is
-- never_twice, irreversible and needs an approval.

local web = host.module("web")
local declared = host.module("declared")

local settings = { requests = "map" }
for name, kind in pairs(web.settings) do settings[name] = kind end

local declaration = { settings = settings, reads = {}, effects = {} }

local keys = { method = "string", path = "string", query = "table", headers = "table", body = "any", params = "table",
  read = "any", effect = "table", timeout = "string", max_body = "number", says = "string" }
local read_keys = { at = "string", ["stores_nothing"] = "boolean" }
local methods = { GET = true, HEAD = true, POST = true, PUT = true, PATCH = true, DELETE = true }
-- Answers that say that nothing was changed. All others but 2xx leave it open.
local refusals = { [400] = true, [401] = true, [403] = true, [404] = true, [405] = true, [409] = true, [410] = true, [411] = true,
  [412] = true, [413] = true, [414] = true, [415] = true, [422] = true, [428] = true, [429] = true, [431] = true }
local function check_request(name, q, all)
  local what = "request '" .. tostring(name) .. "'"
  if not string.find(tostring(name), "^[%l%d_]+$") then refused(what .. ": small letters, digits, _") end
  declared.only(what, q, keys)
  if (q.read == nil) == (q.effect == nil) then refused(what .. " must be either a read or an effect") end
  local method = q.method or (q.effect and "POST" or "GET")
  if not methods[method] then refused(what .. ": method '" .. method .. "' is none of GET, HEAD, POST, PUT, PATCH, DELETE") end
  if not q.path or not string.find(q.path, "^/[^?#%s%c]*$") then refused(what .. ": path must begin with / and has no ? or #") end
  if q.timeout and not web.seconds(q.timeout) then refused(what .. ": timeout must be a duration like 10s") end
  declared.check_params(what, q.params)
  local more = q.effect and { key = true, from = q.effect.sets } or nil
  for _, part in ipairs { "path", "query", "headers", "body" } do
    declared.check_names(what .. ": " .. part, q[part], q.params, more)
  end
  if q.read then
    declared.check_read(what, q.read, read_keys)
    local stores_nothing = type(q.read) == "table" and q.read.stores_nothing
    if method ~= "GET" and method ~= "HEAD" and not stores_nothing then
      refused(what .. ": a read by " .. method .. " wants read: { stores_nothing: true }")
    end
  else
    if method == "GET" or method == "HEAD" then refused(what .. ": an effect by " .. method) end
    declared.check_effect(what, q.effect, q.params, all)
    local says_key = string.find(json.encode { q.query or {}, q.headers or {}, q.body or "", q.path }, "{{%s*key%s*}}")
    if q.effect.class == "keyed" and not says_key then refused(what .. ": class keyed, and {{key}} is nowhere in it") end
  end
end

-- A value is one segment: encoded, and never one that servers take for a way up.
local function path_of(q, values, stop)
  return declared.fill(q.path, values, stop, function(value)
    if value == "" or value == "." or value == ".." then stop("'" .. value .. "' is no segment of a path") end
    return web.encode(value)
  end)
end

-- Sorted by name, as signatures want it.
local function query_of(q, values, stop)
  local form = {}
  for name, value in pairs(q.query or {}) do
    form[#form + 1], form[#form + 2] = name, declared.fill(value, values, stop)
  end
  return web.form(form)
end

local function send(q, given, stop, more)
  local values, headers, body = declared.values(q.params, given, stop), {}, nil
  for name, value in pairs(more or {}) do values[name] = value end
  for name, value in pairs(q.headers or {}) do headers[name] = declared.fill(value, values, stop) end
  if type(q.body) == "table" then
    body = json.encode(declared.fill_json(q.body, values, stop))
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
  elseif q.body ~= nil then
    if declared.is_template(q.body) then stop("body: {{...}} only in a body that is a map or a list") end
    body = tostring(q.body)
  end
  local spec = type(q.read) == "table" and q.read or {}
  local request = {
    method = q.method or (q.effect and "POST" or "GET"), path = path_of(q, values, stop), query = query_of(q, values, stop),
    headers = headers, body = body, stores_nothing = spec.stores_nothing, max_body = q.max_body,
    timeout = q.timeout and web.seconds(q.timeout) or nil,
  }
  return (q.read and web.read or web.request)(request)
end

local function is_ok(answer, list)
  if not list then return answer.status >= 200 and answer.status < 300 end
  for _, code in ipairs(list) do
    if answer.status == code then return true end
  end
  return false
end

local function status_text(answer)
  return string.format("HTTP %d: %s", answer.status, web.short(declared.first_line(answer.body)))
end

-- RFC 6901: /a/0/b~1c.
local function pointed(document, pointer)
  local at = document
  for part in string.gmatch(pointer, "/([^/]*)") do
    part = string.gsub(string.gsub(part, "~1", "/"), "~0", "~")
    if type(at) ~= "table" then at = nil break end
    local i = string.find(part, "^%d+$") and tonumber(part)
    local found = at[part]
    if found == nil and i then found = at[i + 1] end
    at = found
  end
  if at == nil then unknown("error", "the answer has no " .. pointer) end
  if at == json.null then unknown("no_data", pointer .. " is null") end
  return at
end

local types = { string = "string", number = "number", integer = "number", boolean = "boolean" }

local function typed(value, returns, where)
  local kind = types[returns]
  if kind and type(value) ~= kind or returns == "lines" and type(value) ~= "string" then
    unknown("error", where .. " is a " .. type(value) .. ", not a " .. returns)
  end
  if returns == "integer" then
    return math.tointeger(value) or unknown("error", where .. " is " .. tostring(value) .. ", not an integer")
  end
  if returns == "number" then return value + 0.0 end
  return returns == "lines" and declared.convert.lines(value) or value
end

local function look(q, a)
  local spec = type(q.read) == "table" and q.read or {}
  local answer = send(q, a, function(why) unknown("error", why) end)
  if not is_ok(answer, spec.ok) then unknown("error", status_text(answer)) end
  local returns = spec.returns or "string"
  if not spec.at then return declared.convert[returns](answer.body, spec) end
  local value = pointed(web.json(answer), spec.at)
  if returns == "json" and type(value) == "table" and #value > (spec.at_most or 1000) then
    unknown("error", string.format("%d elements, more than at_most allows (%d)", #value, spec.at_most or 1000))
  end
  return typed(value, returns, spec.at)
end

local function apply(q, a, key, from)
  local answer = send(q, a, refused, { key = key, from = from })
  if is_ok(answer, q.effect.ok) then return { status = answer.status } end
  local listed = q.effect.refused and is_ok(answer, q.effect.refused)
  if listed or refusals[answer.status] and not q.effect.refused then refused(status_text(answer)) end
  maybe(status_text(answer))
end

-- 2xx says that it is so, 404 that it is not; a read that returns true or false says it itself.
local function check(q, a)
  if type(q.read) == "table" and q.read.returns == "boolean" then return look(q, a) and "applied" or "absent" end
  local answer = send(q, a, function(why) unknown("error", why) end)
  if is_ok(answer) then return "applied" end
  if answer.status == 404 then return "absent" end
  unknown("error", status_text(answer))
end

local face_types = { lines = "list", json = "any" }

--- Makes a verb of every declared request; called by the host before anything else.
function declaration.configure(it)
  web.check(it.settings)
  local requests = it.settings.requests or {}
  local how = {
    look = function(name, a) return look(requests[name], declared.args_for(requests[name], a)) end,
    check = function(name, a) return check(requests[name], declared.args_for(requests[name], a)) end,
  }
  for name, q in pairs(requests) do
    check_request(name, q, requests)
    declared.say(declaration, name, q, (q.method or (q.effect and "POST" or "GET")) .. " " .. q.path)
    if q.read then
      local returns = type(q.read) == "table" and q.read.returns or "string"
      declaration.reads[name] = { named = true, params = declared.face_params(q.params), returns = face_types[returns] or returns,
        read = function(a) return look(q, a) end }
    else
      declaration.effects[name] = declared.effect(q, { look = how.look, check = how.check,
        send = function(a, key, from) return apply(q, a, key, from) end })
    end
  end
end

function declaration.probe()
  local answer = web.request { method = "HEAD", path = "/" }
  local said = "answers (HTTP " .. answer.status .. ")"
  if answer.status == 401 or answer.status == 403 then unknown("error", said .. ": the credentials are not accepted") end
  return said
end

return plugin "http"(declaration)
