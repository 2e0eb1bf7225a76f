-- SPDX-License-Identifier: Apache-2.0
-- Tables of options: every key is known, or the error names the nearest one.

local options = {}

local function is_in(list, key)
  for i = 1, #list do
    if list[i] == key then return true end
  end
  return false
end

--- Refuses a key of `given` that is not in the list `known`. `what` begins the message.
function options.check(what, given, known)
  if type(given) ~= "table" then host.fail(string.format("%s wants a table of options, got a %s", what, type(given))) end
  for key in pairs(given) do
    if not is_in(known, key) then
      local near = host.nearest(tostring(key), known)
      host.fail(string.format("%s has no option '%s'%s", what, tostring(key),
        near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(known, ", ") .. ")"))
    end
  end
end

--- A title or text that must be there.
function options.text(what, s)
  if type(s) ~= "string" or s == "" then host.fail(what) end
  return s
end

--- A title: short, because it names rows of the journal.
function options.title(what, s)
  if #options.text(what, s) > 1000 then host.fail(what .. " (at most 1000 bytes)") end
  return s
end

--- An optional function.
function options.func(what, f)
  if f ~= nil and type(f) ~= "function" then host.fail(string.format("%s must be a function, not a %s", what, type(f))) end
  return f
end

--- An optional whole number of at least `low`.
function options.count(what, n, low, default)
  if n == nil then return default end
  if math.type(n) ~= "integer" or n < low then
    host.fail(string.format("%s must be a whole number of at least %d", what, low))
  end
  return n
end

return options
