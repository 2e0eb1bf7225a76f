-- SPDX-License-Identifier: Apache-2.0
-- Where the cluster is and who we are there: kubeconfig files, merged as kubectl does, or the pod's own
-- service account. Every way in which one can be broken has one error that says where.

local PEM = "%-%-%-%-%-BEGIN [%u ]+%-%-%-%-%-"
local ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/"

local kubeconfig = {}

local function wrong(format, ...) unknown("error", string.format(format, ...)) end

local function paths()
  local list, found = instance.settings.kubeconfig or env "KUBECONFIG", {}
  for path in string.gmatch(list or "", "[^:]+") do found[#found + 1] = path end
  if #found == 0 and not env "KUBERNETES_SERVICE_HOST" and env "HOME" then found[1] = env "HOME" .. "/.kube/config" end
  return found
end

local function directory(path) return string.match(path, "^(.*)/[^/]*$") or "." end

local function entries(config, path, key, inner)
  local list, by_name = config[key], {}
  if list == nil or list == json.null then return by_name end
  if type(list) ~= "table" then wrong("%s: %s must be a list", path, key) end
  for i, entry in ipairs(list) do
    if type(entry) ~= "table" or type(entry.name) ~= "string" then wrong("%s: %s[%d] has no name", path, key, i) end
    local value = entry[inner]
    if value ~= nil and value ~= json.null and type(value) ~= "table" then
      wrong("%s: %s '%s': %s must be a map", path, key, entry.name, inner)
    end
    if value == nil or value == json.null then value = {} end
    by_name[entry.name] = by_name[entry.name] or { value = value, path = path }
  end
  return by_name
end

local function read(path, optional)
  local text = file(path, optional)
  if not text then return nil end
  if not string.find(text, "%S") then wrong("%s is empty", path) end
  local config = yaml.decode(text, path)
  if type(config) ~= "table" or #config > 0 then wrong("%s is no kubeconfig: not a map", path) end
  local kind = config.kind
  if kind ~= nil and kind ~= json.null and kind ~= "Config" then
    wrong("%s is no kubeconfig: its kind is %s", path, tostring(kind))
  end
  return {
    current = type(config["current-context"]) == "string" and config["current-context"] or "",
    clusters = entries(config, path, "clusters", "cluster"), users = entries(config, path, "users", "user"),
    contexts = entries(config, path, "contexts", "context"),
  }
end

-- For every name the first file that has it wins.
local function merged()
  local all, list = { current = "", clusters = {}, users = {}, contexts = {} }, paths()
  local any = false
  for _, path in ipairs(list) do
    local one = read(path, #list > 1)
    any = any or one ~= nil
    if one then
      if all.current == "" then all.current = one.current end
      for _, part in ipairs { "clusters", "users", "contexts" } do
        for name, entry in pairs(one[part]) do all[part][name] = all[part][name] or entry end
      end
    end
  end
  all.files = table.concat(list, ":")
  if #list > 0 and not any then wrong("there is no kubeconfig: none of %s exists", all.files) end
  return #list > 0 and all or nil
end

local function find(all, part, what, name)
  if all[part][name] then return all[part][name].value, directory(all[part][name].path), all[part][name].path end
  local names = {}
  for known in pairs(all[part]) do names[#names + 1] = known end
  wrong("%s has no %s '%s' (there is: %s)", all.files, what, name, #names > 0 and table.concat(names, ", ") or "none")
end

local function beside(dir, path) return string.sub(path, 1, 1) == "/" and path or dir .. "/" .. path end

-- The data field wins over the file, as it does for kubectl.
local function pem(from, key, dir, where)
  local data, path, text = from[key .. "-data"], from[key], nil
  if data ~= nil and data ~= "" then
    local ok, decoded = try(base64, tostring(data))
    if not ok then wrong("%s: %s-data is not base64", where, key) end
    text = decoded
  elseif path ~= nil and path ~= "" then
    text = file(beside(dir, tostring(path)), true)
    if not text then wrong("%s: %s: there is no file %s", where, key, beside(dir, tostring(path))) end
  end
  if text and not string.find(text, PEM) then wrong("%s: %s holds no PEM block", where, key) end
  return text
end

local function is_loopback(server)
  local host = string.match(server, "^http://%[?([^%]/]+)%]?")
  host = host and string.gsub(host, ":%d+$", "") or ""
  return host == "localhost" or host == "::1" or string.find(host, "^127%.") ~= nil
end

local function read_cluster(all, name)
  local c, dir, path = find(all, "clusters", "cluster", name)
  local where = path .. ": cluster '" .. name .. "'"
  if type(c.server) ~= "string" or c.server == "" then wrong("%s has no server", where) end
  if not string.find(c.server, "^https?://[^/]") then wrong("%s: the server must be a https:// address", where) end
  if c["proxy-url"] then wrong("%s: proxy-url is not supported", where) end
  local skip = c["insecure-skip-tls-verify"]
  if skip ~= nil and type(skip) ~= "boolean" then wrong("%s: insecure-skip-tls-verify must be true or false", where) end
  local found = {
    server = (string.gsub(c.server, "/+$", "")), ca = pem(c, "certificate-authority", dir, where),
    server_name = c["tls-server-name"], insecure = skip == true,
  }
  if found.insecure and found.ca then wrong("%s: insecure-skip-tls-verify beside a certificate-authority", where) end
  return found, c
end

-- Impersonation: the headers are sent with every request.
local function impersonation(user, where)
  local headers = {}
  if user["as"] == nil then
    if user["as-uid"] or user["as-groups"] or user["as-user-extra"] then wrong("%s: as-... without as", where) end
    return headers
  end
  headers["Impersonate-User"] = tostring(user["as"])
  if user["as-uid"] then headers["Impersonate-Uid"] = tostring(user["as-uid"]) end
  if user["as-groups"] then
    if type(user["as-groups"]) ~= "table" then wrong("%s: as-groups must be a list", where) end
    headers["Impersonate-Group"] = user["as-groups"]
  end
  for key, values in pairs(user["as-user-extra"] or {}) do
    local name = string.gsub(string.lower(key), "[^%w!#$&'*+.^_`|~-]", function(c)
      return string.format("%%%02X", string.byte(c))
    end)
    headers["Impersonate-Extra-" .. name] = type(values) == "table" and values or json.array { tostring(values) }
  end
  return headers
end

local function read_user(all, name, found)
  if name == nil or name == "" then return {} end
  local user, dir, path = find(all, "users", "user", name)
  local where = path .. ": user '" .. name .. "'"
  if user["auth-provider"] then
    wrong("%s: auth-provider is gone from Kubernetes; use the exec plugin of the same vendor", where)
  end
  if user.username or user.password then
    wrong("%s: no API server since 1.19 accepts a user name and password; use a token, a certificate or exec", where)
  end
  found.cert, found.key = pem(user, "client-certificate", dir, where), pem(user, "client-key", dir, where)
  if (found.cert == nil) ~= (found.key == nil) then
    wrong("%s: client-certificate and client-key belong together, one is missing", where)
  end
  found.token_file = user.tokenFile and beside(dir, tostring(user.tokenFile))
  if user.token ~= nil and type(user.token) ~= "string" then wrong("%s: the token must be a text", where) end
  found.token, found.headers = user.token, impersonation(user, where)
  if user.exec then found.exec = { spec = user.exec, dir = dir, where = where } end
  return user
end

local function in_cluster()
  local host, port = env "KUBERNETES_SERVICE_HOST", env "KUBERNETES_SERVICE_PORT"
  if not host or not port then wrong("no kubeconfig (setting kubeconfig, $KUBECONFIG or ~/.kube/config), and this is no pod") end
  if string.find(host, ":", 1, true) then host = "[" .. host .. "]" end
  local ca = file(ACCOUNT .. "ca.crt", true)
  if not ca then wrong("%sca.crt is missing; the system's authorities are not trusted instead", ACCOUNT) end
  return { server = "https://" .. host .. ":" .. port, ca = ca, token_file = ACCOUNT .. "token", headers = {} }
end

--- {server, ca, server_name, insecure, cert, key, token, token_file, exec, headers}
function kubeconfig.read()
  local all = merged()
  if not all then return in_cluster() end
  local name = instance.settings.context or all.current
  if name == "" then wrong("%s has no current-context; say context: in the instance", all.files) end
  local context, _, path = find(all, "contexts", "context", name)
  if type(context.cluster) ~= "string" then wrong("%s: context '%s' has no cluster", path, name) end
  local found, cluster = read_cluster(all, context.cluster)
  found.headers = {}
  read_user(all, context.user, found)
  found.cluster = cluster
  if string.find(found.server, "^http://") and not is_loopback(found.server)
    and (found.token or found.token_file or found.exec) then
    wrong("the token is not sent over http://; use https://")
  end
  return found
end

return kubeconfig
