-- SPDX-License-Identifier: Apache-2.0
-- Sizes, durations and ratios are plain numbers in bytes, seconds and 0..1.

local factor = {
  ms = 0.001, seconds = 1, minutes = 60, hours = 3600, days = 86400,
  percent = 0.01,
  kib = 1024, mib = 1024 ^ 2 // 1 | 0, gib = 1024 ^ 3 // 1 | 0,
}

local units = {}
for name, f in host.rawpairs(factor) do
  units[name] = function(n)
    if type(n) ~= "number" then host.fail(name .. " wants a number, got " .. type(n)) end
    return n * f
  end
end

local suffix = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

-- Seconds of "90s", "10m" or "1h30m"; nil for everything else.
local function try_duration(d)
  local total, at = 0, 1
  while at <= #d do
    local n, unit, next_at = string.match(d, "^(%d+%.?%d*)(%a+)()", at)
    if not n or not suffix[unit] then return nil end
    total, at = total + tonumber(n) * suffix[unit], next_at
  end
  return d ~= "" and total or nil
end

--- Seconds of a duration as verbs take it: a number of seconds, or "90s", "10m", "1h30m".
local function duration(d, what)
  if type(d) == "number" then
    if d ~= d or d < 0 or d > 366 * 86400 then host.fail(what .. ": a duration of " .. tostring(d) .. " seconds") end
    return d
  end
  local total = type(d) == "string" and try_duration(d)
  if total and total <= 366 * 86400 then return total end
  host.fail(string.format("%s: %s is no duration (write 90, \"90s\", \"10m\" or \"1h30m\")", what,
    type(d) == "string" and '"' .. d .. '"' or "a " .. type(d)))
end

return { public = units, duration = duration, try_duration = try_duration }
