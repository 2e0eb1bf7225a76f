-- SPDX-License-Identifier: Apache-2.0
-- Commands that the operator declared in midwatch.yaml. Each becomes a verb of the face: a read
-- (`shell.uptime()`) or an effect (`shell.restart_web { name = "api" }`). A command is an argument list,
-- never a shell line; a parameter fills one word or part of one.
--
--   commands:
--     uptime:      { argv: [uptime, -p], read: true }
--     restart_web: { argv: [systemctl, restart, "{{name}}"], params: { name: { type: string, match: "[a-z-]+" } },
--                    effect: { class: never_twice, target: "service/{{name}}", undo: not needed } }
--     workers:     { argv: [poolctl, get, "{{pool}}"], params: { pool: { match: "[a-z]+" } }, read: { returns: integer } }
--     set_workers: { argv: [poolctl, set, "{{pool}}", "{{n}}"], params: { pool: {...}, n: { type: integer, max: 64 } },
--                    effect: { class: ensure, target: "pool/{{pool}}", state: workers, sets: n } }    # undo is derived
--     prune:       { argv: [sh, -s, "--", "{{dir}}"], script: "find \"$1\" -mtime +7 -delete", params: {...}, effect: {...} }

local command = host.module("command")

local declaration = { settings = { commands = "map" }, reads = {}, effects = {} }

local function start(job)
  return exec { argv = job.argv, env = job.env, cwd = job.cwd, timeout = job.timeout, changes = job.changes,
    input = job.input }
end

--- Makes a verb of every declared command; called by the host before anything else.
function declaration.configure(it)
  local commands = it.settings.commands or {}
  command.check(commands)
  command.verbs(declaration, commands, function() end, start)
end

function declaration.probe()
  local n = 0
  for _ in pairs(instance.settings.commands or {}) do n = n + 1 end
  return n .. " declared commands"
end

return plugin "shell"(declaration)
