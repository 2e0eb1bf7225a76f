-- SPDX-License-Identifier: Apache-2.0
-- Questions to text, and texts of observations.

local observe = host.module("observe")

local text = {}

local function check(verb, s)
  if type(s) ~= "string" then host.fail(string.format("text.%s wants a text, got a %s", verb, type(s))) end
  return s
end

--- text.has(s, part, ...): true if s contains one of the parts, literally.
function text.has(s, ...)
  check("has", s)
  local parts = table.pack(...)
  if parts.n == 0 then host.fail("text.has wants at least one text to look for") end
  for i = 1, parts.n do
    if string.find(s, check("has", parts[i]), 1, true) then return true end
  end
  return false
end

--- text.capture(s, pattern): what the pattern captured (or matched), or nil.
function text.capture(s, pattern) return string.match(check("capture", s), check("capture", pattern)) end

local function parts_of(v)
  local parts = {}
  for word in string.gmatch(check("version", v), "[^.+_-]+") do parts[#parts + 1] = tonumber(word) or word end
  return parts
end

-- Numbers before words of the same place: 1.2 < 1.10, and 1.2-rc1 < 1.2.
local function compare(a, b)
  if a == b then return 0 end
  if a == nil then return type(b) == "number" and -1 or 1 end
  if b == nil then return type(a) == "number" and 1 or -1 end
  if type(a) ~= type(b) then return type(a) == "number" and 1 or -1 end
  return a < b and -1 or 1
end

local operator = {
  ["<"] = function(c) return c < 0 end, ["<="] = function(c) return c <= 0 end, [">"] = function(c) return c > 0 end,
  [">="] = function(c) return c >= 0 end, ["=="] = function(c) return c == 0 end, ["~="] = function(c) return c ~= 0 end,
}

--- text.version(a, "<", b): compares versions part by part.
function text.version(a, op, b)
  if not operator[op] then host.fail("text.version wants <, <=, >, >=, == or ~= in the middle") end
  local left, right = parts_of((string.gsub(a, "^v", ""))), parts_of((string.gsub(b, "^v", "")))
  for i = 1, math.max(#left, #right) do
    local c = compare(left[i], right[i])
    if c ~= 0 then return operator[op](c) end
  end
  return operator[op](0)
end

local function number_text(v, unit)
  if unit == "s" then
    if v < 1 then return string.format("%.0f ms", v * 1000) end
    if v < 120 then return string.format("%.3g s", v) end
    return string.format("%.0f min", v / 60)
  end
  if unit == "ratio" then return string.format("%.3g %%", v * 100) end
  local s = math.type(v) == "integer" and tostring(v) or string.format("%.4g", v)
  return unit and s .. " " .. unit or s
end

--- text.of(o, "x"): the value with its unit, or "unknown (no data)".
function text.of(group, name)
  local entry = observe.entry(group, name)
  if entry.unknown then return "unknown (" .. string.gsub(entry.unknown, "_", " ") .. ")" end
  if type(entry.value) == "number" then return number_text(entry.value, entry.unit) end
  return tostring(entry.value)
end

return text
