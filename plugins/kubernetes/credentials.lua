-- SPDX-License-Identifier: Apache-2.0
-- The credential to send now: from the kubeconfig, a token file that is rotated, or a program (exec) that
-- prints one. What a program gave is kept until it expires or the server says 401.

local kubeconfig = require "kubeconfig"
local time = require "time"

local TOKEN_FILE_FOR_S = 60
local EXPIRY_LEEWAY_S = 10
local EXEC_VERSIONS = { ["client.authentication.k8s.io/v1"] = true, ["client.authentication.k8s.io/v1beta1"] = true }

local credentials = {}

local found                     -- the kubeconfig's answer, read at the first call
local given, given_until        -- what a file or program gave: {bearer, cert, key}; nil = until 401

local function wrong(format, ...) unknown("error", string.format(format, ...)) end

local function one_line(text) return string.sub(string.gsub(tostring(text), "%c", " "), 1, 200) end

-- Running a program of a file is the operator's decision; without a midwatch.yaml the file is the user's own.
local function check_exec(spec, where)
  if type(spec) ~= "table" or type(spec.command) ~= "string" or spec.command == "" then
    wrong("%s: exec has no command", where)
  end
  if not EXEC_VERSIONS[spec.apiVersion or ""] then
    wrong("%s: exec: apiVersion '%s' is not client.authentication.k8s.io/v1 or v1beta1", where, tostring(spec.apiVersion))
  end
  if spec.interactiveMode == "Always" then
    wrong("%s: exec: '%s' needs a terminal (interactiveMode: Always)", where, spec.command)
  end
  if not instance.implicit and instance.settings.credential_command ~= spec.command then
    wrong("%s gets its credential from the program '%s'; to allow that, say credential_command: %s in the instance", where,
      spec.command, spec.command)
  end
end

local function exec_info(spec)
  local cluster
  if spec.provideClusterInfo == true then
    local c = found.cluster
    cluster = {
      server = found.server, ["certificate-authority-data"] = c["certificate-authority-data"],
      ["insecure-skip-tls-verify"] = found.insecure or nil, ["tls-server-name"] = c["tls-server-name"],
    }
  end
  return json.encode {
    apiVersion = spec.apiVersion, kind = "ExecCredential", spec = { interactive = false, cluster = cluster },
  }
end

local function run_exec()
  local spec, where = found.exec.spec, found.exec.where
  check_exec(spec, where)
  local command, argv, variables = spec.command, {}, { KUBERNETES_EXEC_INFO = exec_info(spec) }
  if string.find(command, "/", 1, true) and string.sub(command, 1, 1) ~= "/" then command = found.exec.dir .. "/" .. command end
  argv[1] = command
  for i, word in ipairs(type(spec.args) == "table" and spec.args or {}) do argv[i + 1] = tostring(word) end
  for _, entry in ipairs(type(spec.env) == "table" and spec.env or {}) do
    variables[tostring(entry.name)] = tostring(entry.value)
  end
  local ok, result = try(exec, { argv = json.array(argv), env = variables, inherit = true, raw = true, timeout = 20 })
  if not ok then
    wrong("%s: '%s' cannot be run: %s%s", where, spec.command, type(result) == "table" and result.why or tostring(result),
      spec.installHint and " (" .. one_line(spec.installHint) .. ")" or "")
  end
  if result.timed_out then wrong("%s: '%s' gave no credential within 20 s", where, spec.command) end
  if result.code ~= 0 then wrong("%s: '%s' ended with %d: %s", where, spec.command, result.code, one_line(result.err)) end
  return result.out, where, spec
end

local function from_exec()
  local text, where, spec = run_exec()
  local ok, answer = try(json.decode, text)
  if not ok or type(answer) ~= "table" or answer.kind ~= "ExecCredential" then
    wrong("%s: '%s' printed no ExecCredential", where, spec.command)
  end
  if answer.apiVersion ~= spec.apiVersion then
    wrong("%s: '%s' speaks %s, the kubeconfig says %s", where, spec.command, one_line(answer.apiVersion), spec.apiVersion)
  end
  local s = type(answer.status) == "table" and answer.status or {}
  local cert, key = s.clientCertificateData, s.clientKeyData
  if type(s.token) ~= "string" and not (cert and key) then
    wrong("%s: '%s' gave neither a token nor a certificate with its key", where, spec.command)
  end
  given_until = type(s.expirationTimestamp) == "string" and time.unix(s.expirationTimestamp) - EXPIRY_LEEWAY_S or math.huge
  return { bearer = s.token and secret(s.token), cert = cert, key = key }
end

local function from_file()
  local text = file(found.token_file, true) or found.token
  if not text or not string.find(text, "%S") then wrong("the token file %s is missing or empty", found.token_file) end
  given_until = now() + TOKEN_FILE_FOR_S
  return { bearer = secret((string.gsub(text, "%s+$", ""))) }
end

--- The fields of an http request that say where and who: server, ca, cert, key, bearer, headers, ...
function credentials.now()
  found = found or kubeconfig.read()
  if not given or now() > given_until then
    given_until = math.huge
    if found.exec then given = from_exec()
    elseif found.token_file then given = from_file()
    else given = { bearer = found.token and secret((string.gsub(found.token, "%s+$", ""))) } end
  end
  return {
    server = found.server, ca = found.ca, server_name = found.server_name, insecure = found.insecure, headers = found.headers,
    bearer = given.bearer, cert = given.cert or found.cert, key = given.key or found.key,
  }
end

--- After a 401: forgets what may be had anew. True if asking again makes sense.
function credentials.renew()
  if not found or not (found.exec or found.token_file) then return false end
  given = nil
  return true
end

return credentials
