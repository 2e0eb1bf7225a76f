-- SPDX-License-Identifier: Apache-2.0
-- The operator's declared commands on other machines, by the ssh program: ssh.host("web-1"):uptime().
-- Host keys must be known beforehand, nothing is ever asked, and the far side gets a time limit of its
-- own, so that a command does not live on when the connection is gone.
--
--   web: { plugin: ssh, user: ops, identity_file: /etc/midwatch/id_ed25519, known_hosts: /etc/midwatch/known_hosts,
--          hosts: { web-1: { address: 10.0.0.5, port: 2222 }, web-2: {} }, commands: { ... as for shell ... } }
--
-- The far side has a POSIX, csh or fish login shell and `timeout`. Targets begin with the host's name.

local command = host.module("command")
local declared = host.module("declared")

local KILL_AFTER, GRACE, CONNECT = 5, 5, 10

local declaration = {
  says = { host = "a machine, by its name under hosts: of the instance" }, means = { host = "its name" },
  settings = { hosts = "map", commands = "map", user = "string", port = "number", identity_file = "string",
    known_hosts = "string", config_file = "string", connect_timeout = "duration", ssh = "string" },
  things = { host = { is = "host", args = { "host" }, params = { host = "string" } } },
  reads = {}, effects = {},
}

--- A word that every login shell reads back as itself: sh, bash, zsh, csh and fish agree on what stands between single
-- quotes if it has no quote, backslash or exclamation mark, and on a backslash outside of them before one of these.
local function shell_word(word)
  if string.find(word, "%c") then refused("a word for the far side holds a control character") end
  if string.find(word, "^[%w_@+:,./-]+$") then return word end
  return "'" .. string.gsub(word, "['\\!]", function(c) return "'\\" .. c .. "'" end) .. "'"
end

local function host_of(a, stop)
  local hosts = instance.settings.hosts or {}
  local entry = hosts[a.host]
  if entry then return entry end
  local names = {}
  for name in pairs(hosts) do names[#names + 1] = name end
  local near = host.nearest(a.host, names)
  stop("there is no host '" .. a.host .. "'" .. (near and " (did you mean '" .. near .. "'?)" or ""))
end

-- A path as a value of an option: quoted, and without ssh's %-tokens.
local function path_of(setting)
  local path = string.sub(setting, 1, 1) == "/" and setting or instance.dir .. "/" .. setting
  return '"' .. string.gsub(path, "%%", "%%%%") .. '"'
end

-- What is said here wins over every file of the user's.
local function options(settings, entry, connect)
  local out = { settings.ssh or "ssh", "-F", settings.config_file or "none", "-T" }
  local function set(name, value) out[#out + 1], out[#out + 2] = "-o", name .. "=" .. tostring(value) end
  set("BatchMode", "yes")
  set("StrictHostKeyChecking", "yes")
  set("UserKnownHostsFile", path_of(settings.known_hosts))
  set("GlobalKnownHostsFile", "none")
  set("UpdateHostKeys", "no")
  set("ConnectTimeout", connect)
  set("ConnectionAttempts", 1)
  set("ServerAliveInterval", 5)
  set("ServerAliveCountMax", 3)
  set("ControlMaster", "no")
  set("ControlPath", "none")
  set("ForwardAgent", "no")
  set("ForwardX11", "no")
  set("ClearAllForwardings", "yes")
  set("PermitLocalCommand", "no")
  set("LogLevel", "ERROR")
  if settings.identity_file then
    set("IdentitiesOnly", "yes")
    set("IdentityFile", path_of(settings.identity_file))
  end
  out[#out + 1], out[#out + 2] = "-p", tostring(entry.port or settings.port or 22)
  if entry.user or settings.user then out[#out + 1], out[#out + 2] = "-l", entry.user or settings.user end
  return out
end

-- timeout -k 5 20 env -C dir A=b program word ...
local function far_words(job)
  local words = { "timeout", "-k", tostring(KILL_AFTER), tostring(math.ceil(job.timeout)) }
  if job.cwd or job.env then words[#words + 1] = "env" end
  if job.cwd then words[#words + 1], words[#words + 2] = "-C", job.cwd end
  for name, value in pairs(job.env or {}) do words[#words + 1] = name .. "=" .. value end
  for _, word in ipairs(job.argv) do words[#words + 1] = word end
  for i, word in ipairs(words) do words[i] = shell_word(word) end
  return table.concat(words, " ")
end

local function connect_timeout(settings)
  return math.max(1, math.ceil(tonumber(string.match(settings.connect_timeout or "", "^(%d+)s$")) or CONNECT))
end

local function start(job, a)
  local stop = job.changes and refused or function(why) unknown("error", why) end
  local settings, entry = instance.settings, host_of(a, stop)
  local connect = connect_timeout(settings)
  local argv = options(settings, entry, connect)
  argv[#argv + 1], argv[#argv + 2], argv[#argv + 3] = "--", entry.address or a.host, far_words(job)
  local result = exec { argv = argv, input = job.input, changes = job.changes,
    timeout = job.timeout + connect + KILL_AFTER + GRACE }
  if result.code == 255 then
    result.lost = "the connection to " .. a.host .. " failed: " .. declared.first_line(result.err)
  elseif result.code == 124 or result.code == 137 then
    result.timed_out = true
  end
  return result
end

local function check_host(name, entry)
  local what = "host '" .. tostring(name) .. "'"
  declared.only(what, entry, { address = "string", port = "number", user = "string" })
  if not string.find(name, "^%w[%w._-]*$") then refused(what .. " is no name for a host") end
  if entry.address and not string.find(entry.address, "^[%w:][%w.:_-]*$") then
    refused(what .. ": no address: " .. entry.address)
  end
  if entry.user and not string.find(entry.user, "^[%l_][%w._-]*$") then refused(what .. ": no user name: " .. entry.user) end
end

local function check_commands(commands)
  command.check(commands)
  for name, c in pairs(commands) do
    local what = "command '" .. name .. "'"
    if c.params and c.params.host then refused(what .. ": 'host' is the machine; a parameter needs another name") end
    for key in pairs(c.env or {}) do
      if not string.find(key, "^[%a_][%w_]*$") then refused(what .. ": env: '" .. key .. "' is no name") end
    end
    for _, text in pairs(c.env or {}) do
      if type(text) == "table" then refused(what .. ": env: a secret would be seen in the far side's list of processes") end
    end
  end
end

function declaration.configure(it)
  local settings = it.settings
  if instance.described then return end
  if not settings.known_hosts then refused("known_hosts: the file with the host keys is missing") end
  if not settings.hosts or next(settings.hosts) == nil then refused("hosts: name the machines") end
  if settings.user and not string.find(settings.user, "^[%l_][%w._-]*$") then refused("user: no user name") end
  for name, entry in pairs(settings.hosts) do check_host(name, entry) end
  local commands = settings.commands or {}
  check_commands(commands)
  command.verbs(declaration, commands, function(verb)
    verb.on = "host"
    verb.timeout = verb.timeout + connect_timeout(settings) + KILL_AFTER + GRACE
    if verb.target then verb.target = "{{host}}/" .. verb.target end
  end, start)
end

function declaration.probe()
  local names, dead = {}, {}
  for name in pairs(instance.settings.hosts) do
    names[#names + 1] = name
    local result = start({ argv = { "true" }, timeout = 5 }, { host = name })
    if result.code ~= 0 then dead[#dead + 1] = name .. " (" .. (command.went_wrong(result) or "") .. ")" end
  end
  if #dead > 0 then unknown("error", table.concat(dead, "; ")) end
  return #names .. " hosts can be reached"
end

return plugin "ssh"(declaration)
