-- SPDX-License-Identifier: Apache-2.0
-- How far back a read looks.

local units = host.module("units")

-- How far back a query looks: its widest [5m] outside of quotes, and what a subquery [1h:5m] adds to it. Nil if it
-- names no range. $window stands for `window`.
local function ranges_of(query, window)
  local bare = string.gsub(string.gsub(query, "\\.", ""), '"[^"]*"', "")
  bare = string.gsub(string.gsub(string.gsub(bare, "'[^']*'", ""), "`[^`]*`", ""), "#[^\n]*", "")
  local widest, sub = nil, 0
  for inside in string.gmatch(bare, "%[([^%[%]]*)%]") do
    local range, step = string.match(inside, "^%s*([%w$.]+)%s*(:?)")
    local seconds = range == "$window" and window or range and units.try_duration(range)
    if seconds and step == ":" then
      sub = sub + seconds
    elseif seconds then
      widest = math.max(widest or 0, seconds)
    end
  end
  return (widest or sub > 0) and (widest or 0) + sub or nil
end

--- The window of a read that has one, in seconds: what the option or the instance says, or what stands in the query
-- itself; and how far back the read looks.
local function window_of(context, spec, name, args, opts)
  local default = type(spec.window) == "string" and spec.window or context.window or 300
  local window = units.duration(opts.window or default, name .. ": window")
  local query = spec.window_in and args[spec.window_in]
  if not query then return window, window end
  if opts.window and not string.find(query, "$window", 1, true) then
    host.fail(name .. ": a window is given, and the query does not name $window")
  end
  -- An instant query sees samples up to two scrapes old.
  return window, ranges_of(query, window) or 2 * (context.interval or 60)
end

return { of = window_of }
