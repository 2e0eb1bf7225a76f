-- SPDX-License-Identifier: Apache-2.0
-- The API's times and quantities as numbers.

local time = {}

local function clean(text) return string.sub(string.gsub(tostring(text), "%c", " "), 1, 60) end

--- Unix seconds of an RFC 3339 time in UTC.
function time.unix(stamp)
  local y, mo, d, h, mi, s = string.match(tostring(stamp), "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+%.?%d*)")
  if not y then unknown("error", "no time: " .. clean(stamp)) end
  y, mo, d = math.tointeger(tonumber(y)), math.tointeger(tonumber(mo)), math.tointeger(tonumber(d))
  if mo <= 2 then y, mo = y - 1, mo + 12 end
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (mo - 3) + 2) // 5 + d - 719469
  local sign, oh, om = string.match(stamp, "([+-])(%d%d):(%d%d)$")
  local offset = sign and (tonumber(oh) * 3600 + tonumber(om) * 60) * (sign == "+" and 1 or -1) or 0
  return days * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s) - offset
end

--- Seconds since a time, never negative.
function time.since(stamp) return math.max(0.0, now() - time.unix(stamp)) end

--- An RFC 3339 time of Unix seconds.
function time.text(seconds)
  local days, rest = seconds // 86400, seconds % 86400
  local z = math.tointeger(days + 719468)
  local era = z // 146097
  local doe = z - era * 146097
  local yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
  local doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
  local mp = (5 * doy + 2) // 153
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format("%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, doy - (153 * mp + 2) // 5 + 1,
    math.tointeger(rest // 3600), math.tointeger(rest % 3600 // 60), math.tointeger(rest % 60 // 1))
end

local suffix = {
  n = 1e-9, u = 1e-6, m = 1e-3, [""] = 1, k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15, E = 1e18,
  Ki = 1 << 10, Mi = 1 << 20, Gi = 1 << 30, Ti = 1 << 40, Pi = 1 << 50, Ei = 1 << 60,
}

--- A quantity ("250m", "8Gi", "1e3") as a number of its base unit; bytes come as integers.
function time.quantity(text)
  local number, unit = string.match(tostring(text), "^([+-]?%d*%.?%d+)(%a*)$")
  if not number then number, unit = string.match(tostring(text), "^([+-]?%d+)%.?(%a*)$") end
  if number and suffix[unit] then
    local value = tonumber(number) * suffix[unit]
    return math.type(value) == "float" and value % 1 == 0 and math.abs(value) < 2 ^ 53 and math.tointeger(value) or value
  end
  local plain = string.find(tostring(text), "^[+-]?[%d.]+[eE][+-]?%d+$") and tonumber(text)
  if not plain then unknown("error", "no quantity: " .. clean(text)) end
  return plain % 1 == 0 and math.abs(plain) < 2 ^ 53 and math.tointeger(plain) or plain
end

return time
