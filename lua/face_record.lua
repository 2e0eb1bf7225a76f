-- SPDX-License-Identifier: Apache-2.0
-- Lists and records of answers as a runbook sees them.

local prelude = host.module("prelude")

-- A field that `known` lists and the answer lacks is unknown: to look at it is inconclusive.
local function unknown_fields(copy, value, known, what)
  local missing
  for _, name in ipairs(known) do
    if copy[name] == nil then
      missing = missing or {}
      missing[name] = true
    end
  end
  if not missing then return copy end
  return setmetatable(copy, { __index = function(_, key)
    if missing[key] then
      prelude.inconclusive(what .. "." .. key, "no_data", type(value.why) == "string" and value.why or nil)
    end
  end })
end

-- Only a scenario leaves out what a read always has: the gate lets no such answer in.
local function missing_fields(copy, missing, what)
  return setmetatable(copy, { __index = function(_, key)
    if missing[key] then host.fail(string.format("%s has no '%s' here: the scenario must give it", what, key)) end
  end })
end

local function is_optional(kind) return type(kind) == "string" and string.find(kind, "?", 1, true) ~= nil end

local function strict_record(value, names, fields, what, known)
  local copy, missing = {}, nil
  for i = 1, #names do
    local name = names[i]
    local v, kind = value[name], fields[name]
    if v ~= nil and v ~= host.null then
      copy[name] = kind == "map" and type(v) == "table" and host.readonly(v, what .. "." .. name) or v
    elseif not known and not is_optional(kind) then
      missing = missing or {}
      missing[name] = true
    end
  end
  if missing then copy = missing_fields(copy, missing, what) end
  return host.readonly(known and unknown_fields(copy, value, known, what) or copy, what, names)
end

local function names_of(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  return names
end

--- A list or record of an answer as the runbook may see it: read-only, and strict about fields. read.record says that it
-- is one.
local function strict(value, read, what)
  local returns = read.returns
  local fields = returns.list or returns
  local names = type(fields) == "table" and names_of(fields)
  if not returns.list then return strict_record(value, names, fields, what, read.known) end
  local out = {}
  for i = 1, #value do
    out[i] = names and strict_record(value[i], names, fields, what .. "[" .. i .. "]", read.known) or value[i]
  end
  return host.array(out)
end

return { strict = strict }
