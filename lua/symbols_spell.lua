-- SPDX-License-Identifier: Apache-2.0
-- Numbers in the words of people.

local spelling = {}

local function trimmed(format, n) return (string.gsub(string.format(format, n), "%.?0+$", "")) end

local function spell_seconds(n)
  local size = math.abs(n)
  if size < 1 and size > 0 then return string.format("%.4g ms", n * 1000) end
  if size < 120 then return string.format("%.4g s", n) end
  if size < 7200 then return string.format("%.4g min", n / 60) end
  return string.format("%.4g h", n / 3600)
end

local function spell_bytes(n)
  if n >= 2 ^ 30 then return string.format("%.6g GiB", n / 2 ^ 30) end
  return string.format("%.6g MiB", n / 2 ^ 20)
end

--- A number as people write it.
function spelling.number(n, unit)
  if unit == "s" then return spell_seconds(n) end
  if unit == "ratio" then return string.format("%.4g %%", n * 100) end
  if n >= 1048576 and n % 1048576 == 0 and not unit then return spell_bytes(n) end
  local text
  if math.type(n) == "integer" or (n % 1 == 0 and math.abs(n) < 1e15) then
    text = string.format("%.0f", n)
  elseif math.abs(n) >= 1e-3 and math.abs(n) < 1e9 then
    text = trimmed("%.6f", n)
  else
    text = string.format("%.6g", n)
  end
  return unit and text .. " " .. unit or text
end

return spelling
