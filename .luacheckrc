std = "lua54"
max_line_length = 130
-- The language and the plugins run in sealed states: these are their only globals.
files["lua"] = { std = "lua54", read_globals = { "host" } }
local plugin_globals = {
  std = "lua54",
  read_globals = {
    "plugin", "http", "exec", "file", "secret", "pause", "now", "json", "yaml", "base64", "unknown", "refused", "maybe",
    "moved", "answer", "try", "env", "sort", "matches", "host", instance = { other_fields = true },
  },
}
files["plugins"] = plugin_globals
-- The ground that plugins share runs in their state.
for _, name in ipairs { "web", "declared", "command" } do files["lua/" .. name .. ".lua"] = plugin_globals end
-- Declarations for editors, not code.
exclude_files = { "lua/types" }
