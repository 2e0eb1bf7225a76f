-- SPDX-License-Identifier: Apache-2.0
-- A Lua plugin: the maintenance page of a web server, which shows it while a file exists.
--
--   instances: { page: { plugin: maintenance, directory: /run/shop } }

local function path(a)
  if string.find(a.site, "[^%w_.-]") or string.find(a.site, "^[.-]") then refused("'" .. a.site .. "' is no name of a site") end
  return instance.settings.directory .. "/" .. a.site .. ".maintenance"
end

local function is_on(a)
  local result = exec { argv = { "test", "-e", path(a) } }
  if result.code > 1 or result.signal ~= 0 then unknown("error", result.err) end
  return result.code == 0
end

return plugin "maintenance" {
  settings = { directory = "string" },
  says = { on = "whether the page is shown", set = "shows the page, or no longer" },
  means = { site = "name of the site", on = "it is shown" },
  reads = {
    on = { args = { "site" }, params = { site = "string" }, returns = "boolean", read = is_on },
  },
  effects = {
    set = {
      args = { "site", "on" }, params = { site = "string", on = "boolean" }, class = "ensure", target = "site/{{site}}",
      state = function(a) return { on = is_on(a) } end,
      want = function(a) return { on = a.on } end,
      apply = function(a, _, to)
        local result = exec { argv = { to.on and "touch" or "rm", path(a) }, changes = true }
        if result.code ~= 0 then maybe(result.err) end
      end,
    },
  },
}
